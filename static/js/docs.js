// Swagger UI for the API schema, signed in with the session of the page.
const container = document.getElementById("docs");

function csrfToken() {
  const start = `${container.dataset.csrfCookie}=`;
  return document.cookie.split("; ").find((pair) => pair.startsWith(start))?.slice(start.length) ?? "";
}

// Swagger UI uses a class on <html> for its dark mode; the site uses the system's scheme or the choice in the menu.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function followScheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  root.classList.toggle("dark-mode", dark);
}

followScheme();
system.addEventListener("change", followScheme);
new MutationObserver(followScheme).observe(root, { attributeFilter: ["data-theme"] });

window.SwaggerUIBundle({
  url: container.dataset.schema,
  domNode: container,
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor(request) {
    request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});
