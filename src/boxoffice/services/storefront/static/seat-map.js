// The house of an event: the plan, who may have which seat now, and what this visitor chose.
//
// The plan is one SVG for ever; prices come with the page; states come live, two bits a place.
import { LiveHouse, decode, showFree, unpack } from "./live-house.js";
import { SeatList } from "./seat-list.js";
import { SeatView } from "./seat-view.js";

/**
 * @typedef {object} Seat
 * @property {number} place @property {string} section @property {string} row @property {string} number
 * @property {number} x @property {number} y @property {string} [mark] @property {number} level @property {SVGElement} shape
 */

const SVG = "http://www.w3.org/2000/svg";
const LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz";
const LOOKS = 6;
const [FREE, HELD, SOLD, BLOCKED] = [0, 1, 2, 3];
const WORDS = ["available", "held by somebody", "sold", "not for sale"];
const CLASSES = ["free", "held", "sold", "blocked"];
/** Colour is never the only sign: each price level has a shape too, drawn around 0,0. */
const SHAPES = [
  "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z",
  "M-3-3.6H3Q3.6-3.6 3.6-3V3Q3.6 3.6 3 3.6H-3Q-3.6 3.6-3.6 3V-3Q-3.6-3.6-3-3.6Z",
  "M0-4.5 4.5 0 0 4.5-4.5 0Z",
  "M0-4.2 4.2 3.4H-4.2Z",
  "M-2.1-3.8H2.1L4.2 0 2.1 3.8H-2.1L-4.2 0Z",
  "M-1.8-4.1H1.8V-1.8H4.1V1.8H1.8V4.1H-1.8V1.8H-4.1V-1.8H-1.8Z",
];
const SMALL = "M2.6 0A2.6 2.6 0 1 1-2.6 0A2.6 2.6 0 1 1 2.6 0Z";
const ROUND = "M3.6 0A3.6 3.6 0 1 1-3.6 0A3.6 3.6 0 1 1 3.6 0Z";
const FULL = "M4.7 0A4.7 4.7 0 1 1-4.7 0A4.7 4.7 0 1 1 4.7 0Z";
const TICK = "M-2 .2-.6 1.7 2.2-1.6";
const CHAIR = "M-.5-2.6v2.8h1.9l1 2M-1.4-.6a1.9 1.9 0 1 0 2.4 2.5";
/** Before the plan is asked for once more; after the last of them the visitor is told. */
const PAUSES_MS = [500, 1000, 2000, 4000];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What there is to say of a seat beside its price. @param {Seat} seat @returns {string[]} */
const told = (seat) => [
  ...(seat.mark === "wheelchair" ? ["wheelchair place"] : seat.mark === "companion" ? ["companion's seat, with the wheelchair place beside it"] : []),
  ...(seat.notice ? [seat.notice] : []),
];

export class SeatMap extends HTMLElement {
  connectedCallback() {
    const { dataset } = this;
    this.limit = Number(dataset.limit);
    this.levels = JSON.parse(dataset.levels);
    /** What the buyer is told of places with a limited view, by place. */
    this.notices = JSON.parse(dataset.notices || "{}");
    this.isOpen = dataset.open === "yes";
    /** Places that are free for this visitor alone, by an access code. */
    this.opened = dataset.opened ? dataset.opened.split(",").map(Number) : [];
    this.states = this.withOpened(unpack(decode(dataset.states)));
    /** @type {Seat[]} */ this.seats = [];
    /** @type {Map<number, Seat>} chosen, in the order of choosing */ this.mine = new Map();
    this.live = new LiveHouse(dataset.event, (house) => {
      this.take(house.states, house.free);
      this.dispatchEvent(new CustomEvent("house", { detail: house }));
    });
    this.piece = (name) => this.querySelector(`[data-${name}]`);
    this.showLegend();
    this.begin();
  }

  disconnectedCallback() {
    this.live.stop();
  }

  async begin() {
    const text = await this.drawing();
    if (text === undefined) return this.say("The plan cannot be loaded at the moment. Choose from the plain list, or load the page again.", "bad");
    const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    this.build(document.importNode(drawn, true));
    const wanted = this.dataset.chosen ? this.dataset.chosen.split(",").map(Number) : [];
    const lost = wanted.map((place) => this.byPlace.get(place)).filter((seat) => seat && !this.choose(seat, { quietly: true }));
    if (lost.length) this.tellLost(lost);
    this.showChoice();
    this.live.start();
    this.dataset.ready = "yes";
  }

  /** Ask for the plan, several times where it does not come. @returns {Promise<string | undefined>} */
  async drawing() {
    for (const pause of [...PAUSES_MS, undefined]) {
      try {
        const answer = await fetch(this.dataset.drawing);
        if (answer.ok) return await answer.text();
        if (answer.status < 500 && answer.status !== 429) return undefined;
      } catch {
        // the network is away: it is asked again like a server that is
      }
      if (pause !== undefined) await new Promise((done) => { setTimeout(done, pause * (0.5 + Math.random())); });
    }
    return undefined;
  }

  /** @param {SVGSVGElement} svg */
  build(svg) {
    svg.classList.add("plan");
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-label", "Plan of the house. Arrow keys go from seat to seat, Space chooses, plus and minus zoom.");
    svg.querySelector("title")?.remove();
    svg.querySelectorAll(".platform, .names").forEach((part) => part.setAttribute("aria-hidden", "true"));
    for (const circle of svg.querySelectorAll("circle[data-p]")) this.seat(circle);
    this.byPlace = new Map(this.seats.map((seat) => [seat.place, seat]));
    this.svg = svg;
    this.ring = shape("circle", { r: "6.2", class: "seat-ring" });
    this.ring.style.display = "none";
    svg.append(this.ring);
    const { width, height } = svg.viewBox.baseVal;
    this.piece("canvas").style.setProperty("--ratio", `${width / height}`);
    this.piece("canvas").replaceChildren(svg);
    this.view = new SeatView(svg, (x, y) => this.tap(x, y));
    this.seats.forEach((seat) => this.show(seat));
    const first = this.seats.find((seat) => this.look(seat).free) ?? this.seats[0];
    first?.shape.setAttribute("tabindex", "0");
    this.list = new SeatList(this.piece("list"), this.seats, {
      label: (seat) => this.label(seat), toggle: (seat) => this.toggle(seat), look: (seat) => this.look(seat),
    });
    this.list.recount();
    for (const name of ["tools", "hint", "list-fold"]) this.piece(name).hidden = false;
    if (this.isOpen) this.piece("choice").hidden = false;
    this.piece("tools").addEventListener("click", (event) => this.tool(event.target.closest("button")?.dataset.zoom));
    svg.addEventListener("keydown", (event) => this.key(event));
    svg.addEventListener("focusin", (event) => this.focused(event.target));
    svg.addEventListener("focusout", () => { this.ring.style.display = "none"; this.hideTip(); });
    svg.addEventListener("pointermove", (event) => this.hover(event));
    svg.addEventListener("pointerleave", () => this.hideTip());
  }

  /** Turn a circle of the drawing into a seat; one that is never sold stays a mark without a role. */
  seat(circle) {
    const row = circle.closest("[data-row]");
    const letter = this.dataset.letters[Number(circle.dataset.p)] ?? "-";
    const x = circle.cx.baseVal.value;
    const y = circle.cy.baseVal.value;
    const path = shape("path", { transform: `translate(${x} ${y})`, d: ROUND });
    circle.replaceWith(path);
    if (letter === "-") {
      path.setAttribute("class", "seat kept");
      path.setAttribute("aria-hidden", "true");
      return;
    }
    path.setAttribute("role", "checkbox");
    path.setAttribute("tabindex", "-1");
    const seat = {
      place: Number(circle.dataset.p), section: row.closest("[data-section]").dataset.section, row: row.dataset.row,
      number: circle.dataset.n, mark: circle.dataset.m, notice: this.notices[circle.dataset.p], level: LEVELS.indexOf(letter), x, y, shape: path,
    };
    if (seat.mark === "wheelchair") {
      seat.sign = shape("path", { d: CHAIR, transform: `translate(${x} ${y})`, class: "sign" });
      path.after(seat.sign);
    }
    path.dataset.place = String(seat.place);
    this.seats.push(seat);
  }

  /** @param {Seat} seat */
  look(seat) {
    const mine = this.mine.has(seat.place);
    return { mine, free: !mine && (this.states[seat.place] ?? 3) === FREE };
  }

  /** @param {Seat} seat */
  label(seat) {
    const level = this.levels[seat.level];
    const state = this.mine.has(seat.place) ? "chosen" : WORDS[this.states[seat.place] ?? 3];
    return [name(seat), price(level), ...told(seat), state].join(", ");
  }

  /** What is closed to everybody is free where this visitor's code opens it. @param {Uint8Array} states */
  withOpened(states) {
    if (!this.opened.length) return states;
    const seen = Uint8Array.from(states);
    for (const place of this.opened) if (seen[place] === BLOCKED) seen[place] = FREE;
    return seen;
  }

  /** Draw one seat as it is now. @param {Seat} seat */
  show(seat) {
    const state = this.states[seat.place] ?? 3;
    const mine = this.mine.has(seat.place);
    const { shape: path } = seat;
    const look = seat.level % LOOKS;
    const chair = seat.mark === "wheelchair";
    path.setAttribute("class", `seat ${CLASSES[state]} l${look}${mine ? " mine" : ""}${chair ? " chair" : ""}`);
    path.setAttribute("d", mine || (chair && state === FREE) ? FULL : state === FREE ? SHAPES[look] : state === HELD ? ROUND : SMALL);
    path.setAttribute("aria-checked", String(mine));
    path.setAttribute("aria-label", this.label(seat));
    if (state === FREE || mine) path.removeAttribute("aria-disabled"); else path.setAttribute("aria-disabled", "true");
    if (seat.sign) seat.sign.style.display = !mine && state === FREE ? "" : "none";
    if (mine && !seat.tick) {
      seat.tick = shape("path", { d: TICK, transform: `translate(${seat.x} ${seat.y})`, class: "tick" });
      path.after(seat.tick);
    } else if (!mine && seat.tick) {
      seat.tick.remove();
      seat.tick = null;
    }
    this.list?.show(seat);
  }

  /** Take a seat into the choice; false when it cannot be. @param {Seat} seat */
  choose(seat, { quietly = false } = {}) {
    if (!this.isOpen || !this.look(seat).free) return false;
    if (this.mine.size >= this.limit) {
      if (!quietly) this.say(`At most ${this.limit} seats at once. Take one away first.`, "warn");
      return false;
    }
    this.mine.set(seat.place, seat);
    this.show(seat);
    return true;
  }

  /** @param {Seat} seat */
  toggle(seat) {
    if (this.mine.delete(seat.place)) this.show(seat);
    else if (!this.choose(seat)) {
      if (this.isOpen && this.mine.size < this.limit) this.say(`${name(seat)} is ${WORDS[this.states[seat.place] ?? 3]}.`, "warn");
      return;
    }
    this.say("");
    this.showChoice();
    if (this.tipped === seat && !this.piece("tip").hidden) this.tip(seat);
  }

  tap(x, y) {
    const near = nearest(this.seats, (seat) => Math.hypot(seat.x - x, seat.y - y));
    if (!near || Math.hypot(near.x - x, near.y - y) > 7) return;
    this.rove(near);
    near.shape.focus({ preventScroll: true });
    this.toggle(near);
  }

  tool(what) {
    if (what === "in") this.view.closer();
    else if (what === "out") this.view.further();
    else if (what === "all") this.view.all();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const seat = this.byPlace.get(Number(event.target.dataset?.place ?? -1));
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "+" || event.key === "=") this.tool("in");
    else if (event.key === "-") this.tool("out");
    else if (event.key === "Escape") this.tool("all");
    else if (!seat) return;
    else if (event.key === " " || event.key === "Enter") this.toggle(seat);
    else if (ARROWS[event.key]) this.step(seat, ...ARROWS[event.key]);
    else if (event.key === "Home" || event.key === "End") {
      const row = this.seats.filter((one) => one.section === seat.section && one.row === seat.row);
      this.go(event.key === "Home" ? row[0] : row.at(-1));
    } else return;
    event.preventDefault();
  }

  /** Go to the neighbour in a direction: near, and not far off the line. */
  step(from, dx, dy) {
    const ahead = this.seats.filter((seat) => (seat.x - from.x) * dx + (seat.y - from.y) * dy > 3);
    const next = nearest(ahead, (seat) => {
      const along = (seat.x - from.x) * dx + (seat.y - from.y) * dy;
      const across = Math.abs((seat.x - from.x) * dy - (seat.y - from.y) * dx);
      const neighbour = seat.section === from.section && seat.row === from.row;
      return (along + 2.5 * across) * (neighbour ? 0.6 : 1);
    });
    if (next) this.go(next);
  }

  go(seat) {
    this.rove(seat);
    seat.shape.focus({ preventScroll: true });
    this.view.reveal(seat.x, seat.y);
  }

  /** Only one seat of the plan is in the tab order: the last one that was looked at. */
  rove(seat) {
    this.svg.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
    seat.shape.setAttribute("tabindex", "0");
  }

  focused(target) {
    const seat = this.byPlace.get(Number(target.dataset?.place ?? -1));
    if (!seat || !target.matches(":focus-visible")) return;
    this.ring.setAttribute("cx", seat.x);
    this.ring.setAttribute("cy", seat.y);
    this.ring.style.display = "";
    requestAnimationFrame(() => requestAnimationFrame(() => { if (document.activeElement === target) this.tip(seat); }));
  }

  hover(event) {
    if (event.pointerType !== "mouse") return;
    const seat = this.byPlace.get(Number(event.target.dataset?.place ?? -1));
    if (seat) this.tip(seat); else this.hideTip();
  }

  /** @param {Seat} seat */
  tip(seat) {
    this.tipped = seat;
    const tip = this.piece("tip");
    const box = seat.shape.getBoundingClientRect();
    const map = tip.parentElement.getBoundingClientRect();
    const where = document.createElement("b");
    where.textContent = name(seat);
    const state = this.mine.has(seat.place) ? "chosen" : WORDS[this.states[seat.place] ?? 3];
    tip.replaceChildren(where, [price(this.levels[seat.level]), ...told(seat), state].join(" · "));
    tip.hidden = false;
    const half = tip.offsetWidth / 2 + 6;
    tip.style.left = `${Math.min(Math.max(box.x + box.width / 2 - map.x, half), map.width - half)}px`;
    tip.style.top = `${Math.max(box.y - map.y, tip.offsetHeight + 14)}px`;
  }

  hideTip() {
    this.piece("tip").hidden = true;
  }

  showLegend() {
    for (const swatch of this.querySelectorAll("[data-swatch]")) {
      const look = Number(swatch.dataset.swatch) % LOOKS;
      swatch.replaceChildren(shape("path", { d: SHAPES[look], class: "shape" }));
    }
  }

  showChoice() {
    const list = this.piece("chosen-list");
    const chosen = [...this.mine.values()];
    list.replaceChildren(...chosen.map((seat) => {
      const item = document.createElement("li");
      const words = document.createElement("span");
      words.textContent = name(seat);
      if (told(seat).length) {
        const notice = document.createElement("strong");
        notice.className = "small notice";
        notice.textContent = told(seat).join(" · ");
        words.append(document.createElement("br"), notice);
      }
      const cost = document.createElement("b");
      cost.textContent = price(this.levels[seat.level]);
      const away = document.createElement("button");
      away.type = "button";
      away.textContent = "✕";
      away.setAttribute("aria-label", `Take ${name(seat)} away`);
      away.addEventListener("click", () => this.toggle(seat));
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = "place";
      field.value = String(seat.place);
      item.append(words, cost, away, field);
      return item;
    }));
    const hold = this.piece("hold");
    hold.disabled = chosen.length === 0;
    hold.textContent = chosen.length === 0 ? "Hold seats" : `Hold ${chosen.length} ${chosen.length === 1 ? "seat" : "seats"}`;
    this.piece("none").hidden = chosen.length > 0;
    this.piece("sum").hidden = chosen.length === 0;
    this.piece("choice").classList.toggle("some", chosen.length > 0);
    this.piece("total").textContent = total(chosen.map((seat) => this.levels[seat.level]));
  }

  /** @param {string} text @param {"" | "warn" | "bad"} tone */
  say(text, tone = "") {
    const place = this.piece("say");
    place.textContent = text;
    place.className = `say note ${tone}`;
    place.hidden = !text;
  }

  /** @param {Seat[]} lost */
  tellLost(lost) {
    const names = lost.map(name).join("; ");
    this.say(`${names} ${lost.length === 1 ? "was" : "were"} just taken by somebody else and ${lost.length === 1 ? "is" : "are"} no longer in your choice.`, "bad");
  }

  /** @param {Uint8Array} house */
  take(house, free) {
    const before = this.states;
    const states = this.withOpened(house);
    this.states = states;
    const lost = [];
    for (const seat of this.seats) {
      if (states[seat.place] === before[seat.place]) continue;
      if (states[seat.place] !== FREE && this.mine.delete(seat.place)) lost.push(seat);
      this.show(seat);
    }
    if (lost.length) {
      this.tellLost(lost);
      this.showChoice();
    }
    this.list.recount();
    const counts = this.levels.map(() => 0);
    for (const seat of this.seats) if (states[seat.place] === FREE) counts[seat.level] += 1;
    counts.forEach((count, level) => { const part = this.querySelector(`[data-level-free="${level}"]`); if (part) part.textContent = `${count} free`; });
    showFree(free + this.opened.filter((place) => house[place] === BLOCKED).length);
  }
}

function name(seat) {
  return `${seat.section}, row ${seat.row}, seat ${seat.number}`;
}

function price(level) {
  return level ? `${grouped(level.price)} ${level.currency}` : "";
}

function grouped(decimal) {
  const [whole, fraction] = decimal.split(".");
  const text = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction ? `${text}.${fraction}` : text;
}

/** Add up decimal strings exactly, in minor units. */
function total(levels) {
  if (!levels.length) return "";
  const scale = (levels[0].price.split(".")[1] ?? "").length;
  const minor = levels.reduce((sum, level) => sum + BigInt(level.price.replace(".", "")), 0n);
  const digits = String(minor).padStart(scale + 1, "0");
  const decimal = scale ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits;
  return `${grouped(decimal)} ${levels[0].currency}`;
}

function nearest(seats, distance) {
  let best = null;
  let least = Infinity;
  for (const seat of seats) {
    const away = distance(seat);
    if (away < least) [best, least] = [seat, away];
  }
  return best;
}

/** @returns {SVGElement} */
function shape(kind, attributes) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
