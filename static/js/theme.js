// Runs before the first paint, so that a chosen scheme never flashes. The key is the Django admin's, so that both agree.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Storage is closed in some private windows: the system's scheme is a good answer.
  }
})();
