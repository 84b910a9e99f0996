// Keys of the review page. Without this module every button still works.

const form = document.querySelector("form.question");
const dialog = document.getElementById("keys");
const comment = document.querySelector("textarea[name=comment]");

function writing(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select");
}

document.getElementById("help")?.addEventListener("click", () => dialog.showModal());

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey || event.metaKey) return;
  if (event.key === "Enter" && event.ctrlKey && writing(event.target)) {
    event.preventDefault();
    event.target.form?.querySelector("button.choice:not([value])")?.click();
    return;
  }
  if (event.key === "Escape" && writing(event.target)) {
    event.target.blur();
    return;
  }
  // A key that is held down must not answer the next item as well.
  if (event.ctrlKey || event.repeat || writing(event.target) || dialog?.open) return;
  if (event.key === "c" && comment) {
    event.preventDefault();
    comment.focus();
    return;
  }
  const button = [...document.querySelectorAll("[data-key]")].find((item) => item.dataset.key === event.key);
  if (button) {
    event.preventDefault();
    button.click();
  }
});

// One press, one answer: what is pressed is sent with the form, so it is switched off a moment later.
form?.addEventListener("submit", () => {
  setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
});

// A page that comes back from the browser's memory must not stay switched off.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
