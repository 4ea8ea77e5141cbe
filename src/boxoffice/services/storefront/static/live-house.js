// A house as it changes: over a WebSocket, and by asking now and then while there is none (docs/howto/follow-a-house.md).
//
// What is kept is what the server sent: a version and its packed states. A delta for another version, or a hash that
// differs, means that something was lost: then the server is told what we have, and sends what is missing.

/** @typedef {{states: Uint8Array, free: number, areas: {name: string, free: number}[]}} House two bits a place, unpacked */

const POLL_MS = 2500;
const SLOWEST_POLL_MS = 30000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
/** A message may be the last one and get lost: so often we say what we have, and so soon there is an answer. */
const ASK_MS = 20000;
const ANSWER_MS = 5000;
const GONE = 4404;

export class LiveHouse {
  /** @param {string} event @param {(house: House) => void} take is told every change */
  constructor(event, take) {
    this.address = `/api/v1/events/${event}`;
    this.take = take;
    this.pause = FIRST_PAUSE_MS;
    this.wait = POLL_MS;
    this.bytes = new Uint8Array();
    this.areas = [];
    this.seen = () => { if (!document.hidden) this.check(); };
  }

  /** Whether changes come by themselves. */
  get isLive() {
    return this.socket?.readyState === WebSocket.OPEN && this.version !== undefined;
  }

  start() {
    this.stopped = false;
    document.addEventListener("visibilitychange", this.seen);
    this.timer = setTimeout(() => this.poll(), this.wait);
    this.connect();
  }

  stop() {
    this.stopped = true;
    document.removeEventListener("visibilitychange", this.seen);
    for (const timer of [this.timer, this.again, this.asking, this.answering]) clearTimeout(timer);
    this.socket?.close();
  }

  connect() {
    const url = new URL(`${this.address}/live`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.version !== undefined) url.search = `?version=${this.version}&hash=${this.hash()}`;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.addEventListener("message", (event) => this.hear(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => {
      clearTimeout(this.asking);
      this.answered();
      if (this.stopped || event.code === GONE) return;
      // A little random: a server that comes back is not met by everybody at once.
      this.again = setTimeout(() => this.connect(), this.pause * (0.5 + Math.random()));
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    });
  }

  hear(said) {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.check(), ASK_MS);
    if (said.type === "delta" && said.from !== this.version) return this.check();
    if (said.type === "snapshot") this.bytes = decode(said.states);
    if (said.type === "delta") this.bytes = changed(this.bytes, said.changes);
    this.areas = said.areas ?? this.areas;
    this.version = said.version;
    if (said.hash !== this.hash()) return this.check();
    this.answered();
    this.pause = FIRST_PAUSE_MS;
    if (said.type !== "current") this.take({ states: unpack(this.bytes), free: said.free, areas: this.areas });
  }

  hash() {
    return crc32(this.bytes).toString(16).padStart(8, "0");
  }

  /** Say what we have, once until there is an answer; without one the connection is dead, whatever it looks like. */
  check() {
    if (this.socket?.readyState !== WebSocket.OPEN) return void this.pollSoon();
    if (this.answering !== undefined) return;
    this.answering = setTimeout(() => this.socket.close(), ANSWER_MS);
    this.socket.send(JSON.stringify({ resume: this.version ?? 0, hash: this.hash() }));
  }

  answered() {
    clearTimeout(this.answering);
    this.answering = undefined;
  }

  pollSoon() {
    clearTimeout(this.timer);
    this.poll();
  }

  async poll() {
    try {
      if (!document.hidden && !this.isLive) await this.ask();
      this.wait = POLL_MS;
    } catch {
      this.wait = Math.min(this.wait * 2, SLOWEST_POLL_MS);
    }
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.poll(), this.wait);
  }

  /** Ask for the states now; the browser sends the ETag of the answer it has. */
  async ask() {
    const answer = await fetch(`${this.address}/availability`, { cache: "no-cache" });
    if (!answer.ok) throw new Error(String(answer.status));
    const tag = answer.headers.get("etag");
    if (tag && tag === this.tag) return;
    const house = await answer.json();
    if (this.stopped || this.isLive) return; // what comes by itself is newer
    this.tag = tag;
    this.take({ states: unpack(decode(house.states)), free: house.free, areas: house.areas ?? [] });
  }
}

/** @returns {Uint8Array} */
export function decode(text) {
  return Uint8Array.from(atob(text ?? ""), (letter) => letter.charCodeAt(0));
}

/** Read two bits a place, place 0 in the lowest bits of byte 0. @param {Uint8Array} bytes @returns {Uint8Array} */
export function unpack(bytes) {
  const states = new Uint8Array(bytes.length * 4);
  for (let place = 0; place < states.length; place += 1) states[place] = (bytes[place >> 2] >> (2 * (place & 3))) & 3;
  return states;
}

function changed(bytes, changes) {
  const after = bytes.slice();
  for (const [place, state] of changes) {
    const shift = 2 * (place & 3);
    after[place >> 2] = (after[place >> 2] & ~(3 << shift)) | (state << shift);
  }
  return after;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** General admission, counted: what can be chosen follows the house. Beside a plan it listens to the plan's house. */
export class LivePlaces extends HTMLElement {
  connectedCallback() {
    const plan = document.querySelector("seat-map");
    plan?.addEventListener("house", (event) => this.show(event.detail));
    if (plan) return;
    this.live = new LiveHouse(this.dataset.event, (house) => {
      showFree(house.free);
      this.show(house);
    });
    this.live.start();
  }

  disconnectedCallback() {
    this.live?.stop();
  }

  /** @param {House} house */
  show({ areas }) {
    for (const row of this.querySelectorAll("[data-area]")) {
      const area = areas.find((one) => one.name === row.dataset.area);
      if (!area) continue;
      row.querySelector("[data-area-free]").textContent = area.free ? `${places(area.free)} free` : "none left at the moment";
      row.querySelector("fieldset").disabled = area.free === 0;
      row.querySelector("number-steps").allow?.(area.free);
    }
  }
}

/** @param {number} number */
function places(number) {
  return `${number.toLocaleString("en-US")} ${number === 1 ? "place" : "places"}`;
}

/** Say in the head of the page how many places are free. @param {number} free */
export function showFree(free) {
  const badge = document.querySelector("[data-free]");
  if (badge && free > 0) badge.textContent = `${places(free)} free`;
}
