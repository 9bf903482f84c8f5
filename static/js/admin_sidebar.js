// The admin shows its sidebar before the first paint, as its own script does after it: the page then does not move.
document.getElementById("main").classList.toggle("shifted", localStorage.getItem("django.admin.navSidebarIsOpen") !== "false");
