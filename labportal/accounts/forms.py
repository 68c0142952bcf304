"""The forms of the pages of people and projects: shapes and ranges. Services say what may be."""

import zoneinfo
from typing import Any

from django import forms

from labportal.accounts.models import ColourScheme, Level, ProjectRole, User
from labportal.accounts.roles import Role

#: Hashing a longer text would only cost time.
MAX_PASSWORD = 256


def _text(**attrs: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "form-control", **attrs})


def _password(autocomplete: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"class": "form-control", "autocomplete": autocomplete})


def _select() -> forms.Select:
    return forms.Select(attrs={"class": "form-select"})


def zones() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(zoneinfo.available_timezones())]


class SignInForm(forms.Form):
    username = forms.CharField(
        label="Name",
        max_length=150,
        widget=_text(autocomplete="username", autofocus=True, autocapitalize="none"),
    )
    password = forms.CharField(
        max_length=MAX_PASSWORD, strip=False, widget=_password("current-password")
    )


class UserForm(forms.Form):
    """A new account."""

    username = forms.CharField(
        label="Name to sign in with", max_length=150, widget=_text(autocapitalize="none")
    )
    first_name = forms.CharField(max_length=150, required=False, widget=_text())
    last_name = forms.CharField(max_length=150, required=False, widget=_text())
    email = forms.EmailField(
        label="E-mail",
        required=False,
        widget=forms.EmailInput(attrs={"class": "form-control"}),
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.USER, widget=_select())
    password = forms.CharField(
        label="First password",
        max_length=MAX_PASSWORD,
        strip=False,
        widget=_password("new-password"),
        help_text="At least 10 characters. Ask the person to change it.",
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, widget=_select())


class PasswordForm(forms.Form):
    """A new password for somebody else."""

    password = forms.CharField(
        label="New password",
        max_length=MAX_PASSWORD,
        strip=False,
        widget=_password("new-password"),
    )


class OwnPasswordForm(forms.Form):
    old_password = forms.CharField(
        label="Present password",
        max_length=MAX_PASSWORD,
        strip=False,
        widget=_password("current-password"),
    )
    new_password = forms.CharField(
        label="New password",
        max_length=MAX_PASSWORD,
        strip=False,
        widget=_password("new-password"),
        help_text="At least 10 characters. Other browsers and programs are signed out.",
    )


class PersonForm(forms.Form):
    """Name and address, of oneself or, by an admin, of somebody else."""

    first_name = forms.CharField(max_length=150, required=False, widget=_text())
    last_name = forms.CharField(max_length=150, required=False, widget=_text())
    email = forms.EmailField(
        label="E-mail",
        required=False,
        widget=forms.EmailInput(attrs={"class": "form-control", "autocomplete": "email"}),
    )


class ProfileForm(PersonForm):
    notification_level = forms.ChoiceField(
        label="E-mail about", choices=Level.choices, widget=_select()
    )
    notify_about_all = forms.BooleanField(
        label="Also about everybody else's calculations", required=False
    )
    time_zone = forms.ChoiceField(choices=zones, widget=_select())
    colour_scheme = forms.ChoiceField(choices=ColourScheme.choices, widget=_select())

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if user.role != Role.ADMIN:
            del self.fields["notify_about_all"]


class ColourSchemeForm(forms.Form):
    colour_scheme = forms.ChoiceField(choices=ColourScheme.choices)


class ProjectForm(forms.Form):
    name = forms.CharField(max_length=120, widget=_text())
    description = forms.CharField(
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"class": "form-control is-prose", "rows": 3}),
    )
    retention_days = forms.IntegerField(
        label="Raw files stay for (days)",
        required=False,
        min_value=0,
        max_value=36_500,
        widget=_text(inputmode="numeric"),
        help_text="After a calculation has ended. Empty: as the lab's settings say.",
    )
    private = forms.BooleanField(
        label="Private",
        required=False,
        help_text="Only members, moderators and admins see what is in it.",
    )


class MemberForm(forms.Form):
    username = forms.CharField(
        label="Name to sign in with", max_length=150, widget=_text(autocapitalize="none")
    )
    role = forms.ChoiceField(
        choices=ProjectRole.choices, initial=ProjectRole.MEMBER, widget=_select()
    )
