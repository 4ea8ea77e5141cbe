// A number with a button to its left and its right. Without it the field is a plain number field: type, or arrow keys.

export class NumberSteps extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("input");
    this.less = this.button("−", "One fewer", -1);
    this.more = this.button("+", "One more", 1);
    this.field.before(this.less);
    this.field.after(this.more);
    this.field.addEventListener("input", () => this.show());
    this.show();
  }

  button(sign, label, step) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", `${label}: ${this.field.getAttribute("aria-label")}`);
    button.addEventListener("click", () => {
      this.field.value = String(this.within((Number(this.field.value) || 0) + step));
      this.show();
    });
    return button;
  }

  within(number) {
    return Math.max(Number(this.field.min), Math.min(Number(this.field.max), number));
  }

  /** There are so many: nobody asks for more. @param {number} free */
  allow(free) {
    this.field.max = String(Math.max(1, Math.min(Number(this.dataset.limit), free)));
    if (Number(this.field.value) > Number(this.field.max)) this.field.value = this.field.max;
    this.show();
  }

  show() {
    const number = Number(this.field.value);
    this.less.disabled = number <= Number(this.field.min);
    this.more.disabled = number >= Number(this.field.max);
  }
}
