"""The login and password change pages."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator

from nvr.api import ratelimits
from nvr.audit.record import record

CHANGED = "Your password is changed. Your other sessions and tokens have ended: sign in there with the new one."
FORM_METHODS = ["get", "head", "options", "post"]  # Django's form views would take PUT for POST


class LoginView(views.LoginView):
    """Allows ten attempts a minute per name and address; then returns 429 with the time to wait."""

    redirect_authenticated_user = True
    http_method_names = FORM_METHODS

    # Django's marker is on the overridden `dispatch`; without it the login page would require signing in.
    @method_decorator(login_not_required)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            # By address alone as well, or one password could be tried with many names.
            ratelimits.enforce(ratelimits.count(request, "default", user_id=None))
            ratelimits.count_login(request, request.POST.get("username", ""))
        return super().dispatch(request, *args, **kwargs)


class PasswordChangeView(views.PasswordChangeView):
    """Ends all other sessions and all tokens of the user, and records an audit entry.

    It is rate-limited like the login, so that an open session cannot be used to guess the password.
    """

    success_url = reverse_lazy("live")
    http_method_names = FORM_METHODS

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        ratelimits.enforce(ratelimits.count(request, "login", user_id=request.user.pk))
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            record(self.request.user, "password_changed", form.user)
        messages.success(self.request, CHANGED)
        return response
