// What one has read and puts away: the form of [data-away-box] posts in the background, the box goes at once.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-away]")) return;
  event.preventDefault();
  fetch(form.action, { method: "POST", body: new FormData(form), credentials: "same-origin", redirect: "manual", keepalive: true });
  form.closest("[data-away-box]").remove();
  document.getElementById("main")?.focus({ preventScroll: true });
});
