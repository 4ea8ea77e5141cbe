// The seats as a list: section, row, seat, with checkboxes. It shows what the plan shows and changes the same choice.

export class SeatList {
  /**
   * @param {HTMLElement} place where the list goes
   * @param {import("./seat-map.js").Seat[]} seats in reading order, without those that are never sold
   * @param {{label: (seat: object) => string, toggle: (seat: object) => void, look: (seat: object) => {free: boolean, mine: boolean}}} map
   */
  constructor(place, seats, map) {
    this.map = map;
    /** @type {Map<number, HTMLInputElement>} */
    this.boxes = new Map();
    this.sections = [];
    for (const [name, rows] of grouped(seats)) place.append(this.section(name, rows));
    place.addEventListener("change", (event) => {
      const box = event.target;
      const seat = this.bySeat.get(Number(box.value));
      map.toggle(seat);
      box.checked = map.look(seat).mine;
    });
    this.bySeat = new Map(seats.map((seat) => [seat.place, seat]));
  }

  section(name, rows) {
    const fold = document.createElement("details");
    fold.className = "list-section";
    const summary = document.createElement("summary");
    const count = document.createElement("span");
    count.className = "soft small";
    summary.append(name, count);
    fold.append(summary);
    const all = [...rows.values()].flat();
    this.sections.push({ count, all });
    // Two thousand checkboxes are made when they are looked at.
    fold.addEventListener("toggle", () => {
      if (fold.open && fold.children.length === 1) {
        fold.append(...[...rows].map(([row, seats]) => this.row(row, seats)));
        all.forEach((seat) => this.show(seat));
      }
    });
    return fold;
  }

  row(row, seats) {
    const set = document.createElement("fieldset");
    set.className = "list-row";
    const legend = document.createElement("legend");
    legend.textContent = `Row ${row}`;
    set.append(legend, ...seats.map((seat) => {
      const label = document.createElement("label");
      label.className = "pick";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = String(seat.place);
      this.boxes.set(seat.place, box);
      label.append(box, seat.mark === "wheelchair" ? `${seat.number} ♿` : seat.notice ? `${seat.number} (${seat.notice})` : seat.number);
      return label;
    }));
    return set;
  }

  /** Show one seat as it is now. */
  show(seat) {
    const box = this.boxes.get(seat.place);
    if (!box) return;
    const { free, mine } = this.map.look(seat);
    box.checked = mine;
    box.disabled = !free && !mine;
    box.setAttribute("aria-label", this.map.label(seat));
  }

  /** Count the free seats of each section. */
  recount() {
    for (const { count, all } of this.sections) {
      count.textContent = `${all.filter((seat) => this.map.look(seat).free).length} free`;
    }
  }
}

function grouped(seats) {
  const sections = new Map();
  for (const seat of seats) {
    if (!sections.has(seat.section)) sections.set(seat.section, new Map());
    const rows = sections.get(seat.section);
    if (!rows.has(seat.row)) rows.set(seat.row, []);
    rows.get(seat.row).push(seat);
  }
  return sections;
}
