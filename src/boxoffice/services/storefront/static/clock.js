// The time left of a hold. The server says how many seconds remain; only that is trusted, never the wall clock here.

const SHORT_S = 120;

export class TimeLeft extends HTMLElement {
  connectedCallback() {
    this.seconds = Number(this.dataset.seconds);
    // The page may come from the back-forward cache; the navigation's own start is when the server's answer was made.
    this.ends = performance.now() + this.seconds * 1000;
    this.face = this.querySelector("[data-face]");
    this.bar = this.querySelector("[data-bar]");
    this.over = this.parentElement.querySelector("[data-over]");
    this.timer = setInterval(() => this.tick(), 250);
    this.tick();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  tick() {
    const left = Math.max(0, Math.round((this.ends - performance.now()) / 1000));
    const text = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (this.face.textContent !== text) this.face.textContent = text;
    this.bar.style.width = `${this.seconds ? (100 * left) / this.seconds : 0}%`;
    this.classList.toggle("short", left <= SHORT_S);
    if (left === 0) {
      clearInterval(this.timer);
      this.over.hidden = false;
      this.over.setAttribute("role", "alert");
      for (const button of document.querySelectorAll("[data-pay]")) button.disabled = true;
    }
  }
}
