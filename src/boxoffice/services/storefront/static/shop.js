// What every page loads: it registers the elements and leaves everything else to the page. Without it all forms work.
import { SuggestBox } from "./suggest.js";
import { TimeLeft } from "./clock.js";
import { LivePlaces } from "./live-house.js";
import { NumberSteps } from "./number-steps.js";
import { SeatMap } from "./seat-map.js";

document.documentElement.classList.add("js");
customElements.define("suggest-box", SuggestBox);
customElements.define("time-left", TimeLeft);
customElements.define("seat-map", SeatMap);
customElements.define("number-steps", NumberSteps);
customElements.define("live-places", LivePlaces);

for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.closest("form").requestSubmit());
}

// Another ticket type is another price. The server prices again what is sent, and asks once more if it differs.
for (const form of document.querySelectorAll("form[data-types]")) {
  form.querySelector("[data-update]").hidden = true;
  form.addEventListener("change", () => {
    const total = form.querySelector("[data-total]");
    const { currency } = total.dataset;
    const prices = [...form.querySelectorAll("li[data-price]")].map((line) => {
      const price = line.querySelector("select")?.selectedOptions[0].dataset.price ?? line.dataset.price;
      line.querySelector("b").textContent = said(price, currency);
      return price;
    });
    const scale = (prices[0].split(".")[1] ?? "").length;
    const minor = prices.reduce((sum, price) => sum + Number(price.replace(".", "")), 0);
    const sum = (minor / 10 ** scale).toFixed(scale);
    form.elements.shown.value = sum;
    total.textContent = said(sum, currency);
    document.querySelector("[data-pay]").textContent = minor ? `Pay ${said(sum, currency)}` : "Confirm";
  });
}

/** Say a price as the pages do: "1,250.00 USD"; a price of nothing is "free". @param {string} price */
function said(price, currency) {
  if (!Number(price)) return "free";
  const [whole, fraction] = price.split(".");
  return `${Number(whole).toLocaleString("en-US")}${fraction ? `.${fraction}` : ""} ${currency}`;
}

// On a phone the facets start folded.
if (matchMedia("(max-width: 60rem)").matches) {
  for (const fold of document.querySelectorAll("details.side-fold")) fold.removeAttribute("open");
}

// What comes back when tickets are cancelled: the server says it for each, this adds up those that are ticked.
for (const form of document.querySelectorAll("form[data-refunds]")) {
  const total = form.querySelector("[data-refund-total]");
  const scale = Number(total.dataset.scale);
  form.addEventListener("change", () => {
    let minor = 0;
    for (const box of form.querySelectorAll("input[data-minor]:checked")) minor += Number(box.dataset.minor);
    const text = (minor / 10 ** scale).toLocaleString("en-US", { minimumFractionDigits: scale });
    total.textContent = `${text} ${total.dataset.currency}`;
    form.querySelector("button.bad").disabled = !form.querySelector("input[data-minor]:checked");
  });
}

// A form that was sent is not sent again by a second click; coming back to the page makes it usable again.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const key of document.querySelectorAll("input[name=key]")) {
    if (key.value) key.value = crypto.randomUUID ? crypto.randomUUID() : String(Math.random());
  }
});
