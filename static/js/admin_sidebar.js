// Shows the admin sidebar before the first paint; the admin's own script does it later, which moves the page.
document.getElementById("main").classList.toggle("shifted", localStorage.getItem("django.admin.navSidebarIsOpen") !== "false");
