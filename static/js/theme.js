// Runs before the first paint, so that the chosen scheme does not flash. Shares its key with the Django admin.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Some private windows have no storage: use the system's scheme.
  }
})();
