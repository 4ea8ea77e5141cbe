// Names as you type, under a search box: a combobox as ARIA describes it. The form works without.

const WAIT_MS = 120;
const KINDS = { composer: "Composer", performer: "Artist", artist: "Artist", work: "Work", venue: "Venue", city: "City", category: "Kind", event: "Concert" };

export class SuggestBox extends HTMLElement {
  connectedCallback() {
    /** @type {HTMLInputElement} */
    this.input = this.querySelector("input");
    this.list = document.createElement("ul");
    this.list.className = "suggestions";
    this.list.id = `${this.input.id}-names`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Suggestions");
    this.list.hidden = true;
    this.append(this.list);
    this.at = -1;
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id })) {
      this.input.setAttribute(name, value);
    }
    this.input.addEventListener("input", () => this.later());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    this.list.addEventListener("mousedown", (event) => {
      const item = event.target.closest("li");
      if (item) { event.preventDefault(); this.take(item); }
    });
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT_MS);
  }

  async ask() {
    const text = this.input.value.trim();
    if (text.length < 2) { this.close(); return; }
    this.asking?.abort();
    this.asking = new AbortController();
    try {
      const answer = await fetch(`/api/v1/search/suggest?q=${encodeURIComponent(text)}`, { signal: this.asking.signal });
      if (answer.ok) this.show((await answer.json()).suggestions);
    } catch {
      // Typed on, or offline: the box simply does not help.
    }
  }

  /** @param {{text: string, kind: string, count: number}[]} names */
  show(names) {
    this.at = -1;
    this.list.replaceChildren(...names.map((name, index) => {
      const item = document.createElement("li");
      item.id = `${this.list.id}-${index}`;
      item.setAttribute("role", "option");
      item.dataset.text = name.text;
      const words = document.createElement("b");
      words.textContent = name.text;
      const kind = document.createElement("span");
      kind.textContent = KINDS[name.kind] ?? name.kind;
      item.append(words, kind);
      return item;
    }));
    this.list.hidden = names.length === 0 || document.activeElement !== this.input;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const items = [...this.list.children];
    if (event.key === "Escape") { this.close(); return; }
    if (this.list.hidden || !items.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = (this.at + step + items.length + (this.at < 0 && step < 0 ? 1 : 0)) % items.length;
      items.forEach((item, index) => item.setAttribute("aria-selected", String(index === this.at)));
      this.input.setAttribute("aria-activedescendant", items[this.at].id);
      items[this.at].scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && this.at >= 0) {
      event.preventDefault();
      this.take(items[this.at]);
    }
  }

  take(item) {
    this.input.value = item.dataset.text;
    this.close();
    this.input.form.requestSubmit();
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
