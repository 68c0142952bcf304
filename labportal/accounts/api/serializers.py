"""Shapes and ranges of people and projects in the API. What is allowed, services say."""

from rest_framework import serializers

from labportal.accounts.forms import MAX_PASSWORD
from labportal.accounts.models import (
    BrowserSession,
    ColourScheme,
    Level,
    Membership,
    Project,
    ProjectRole,
    RefreshGrant,
    User,
)
from labportal.accounts.roles import GRANTS, Role


class CredentialsIn(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(
        max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True
    )

    program = serializers.BooleanField(
        default=False, help_text="gives the refresh token in the answer instead of a cookie"
    )


class RefreshIn(serializers.Serializer):
    """A program shows its refresh token; a page has it in a cookie."""

    refresh = serializers.CharField(
        max_length=2000, required=False, allow_blank=True, default="", write_only=True
    )


class AccessOut(serializers.Serializer):
    access = serializers.CharField()
    expires_at = serializers.DateTimeField()


class PairOut(AccessOut):
    """`refresh` only for a program that keeps it."""

    refresh = serializers.CharField(required=False)


class UserOut(serializers.ModelSerializer):
    blocked = serializers.BooleanField(source="is_blocked")

    class Meta:
        model = User
        fields = (
            "id",
            "username",
            "first_name",
            "last_name",
            "display_name",
            "email",
            "role",
            "blocked",
            "last_seen_at",
            "date_joined",
        )
        read_only_fields = fields


class MeOut(UserOut):
    """Oneself, with one's preferences and what one's role may do."""

    can = serializers.SerializerMethodField()

    class Meta(UserOut.Meta):
        fields = (
            *UserOut.Meta.fields,
            "time_zone",
            "colour_scheme",
            "notification_level",
            "notify_about_all",
            "can",
        )
        read_only_fields = fields

    def get_can(self, user: User) -> list[str]:
        return sorted(verb.name.lower() for verb in GRANTS[Role(user.role)])


class UserIn(serializers.Serializer):
    """A new account."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(
        max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True
    )
    role = serializers.ChoiceField(choices=Role.choices, default=Role.USER)
    email = serializers.EmailField(required=False, allow_blank=True, default="")
    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")


class UserChange(serializers.Serializer):
    """What an admin changes of an account; the role is a verb of its own in the service."""

    email = serializers.EmailField(required=False, allow_blank=True)
    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=Role.choices, required=False)


class MeChange(serializers.Serializer):
    email = serializers.EmailField(required=False, allow_blank=True)
    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    time_zone = serializers.CharField(max_length=64, required=False)
    colour_scheme = serializers.ChoiceField(choices=ColourScheme.choices, required=False)
    notification_level = serializers.ChoiceField(choices=Level.choices, required=False)
    notify_about_all = serializers.BooleanField(required=False)


class PasswordIn(serializers.Serializer):
    password = serializers.CharField(
        max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True
    )


class OwnPasswordIn(serializers.Serializer):
    old_password = serializers.CharField(
        max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True
    )
    new_password = serializers.CharField(
        max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True
    )


class BrowserOut(serializers.ModelSerializer):
    class Meta:
        model = BrowserSession
        fields = ("id", "name", "user_agent", "ip_address", "created_at", "last_seen_at")


class ProgramOut(serializers.ModelSerializer):
    class Meta:
        model = RefreshGrant
        fields = ("id", "name", "user_agent", "ip_address", "created_at", "expires_at")


class SignInsOut(serializers.Serializer):
    browsers = BrowserOut(many=True)
    programs = ProgramOut(many=True)


class ProjectOut(serializers.ModelSerializer):
    member_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Project
        fields = (
            "id",
            "name",
            "slug",
            "description",
            "private",
            "is_default",
            "retention_days",
            "member_count",
            "created_at",
        )
        read_only_fields = fields


class ProjectIn(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(
        max_length=5000, required=False, allow_blank=True, default=""
    )
    private = serializers.BooleanField(required=False, default=False)
    retention_days = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=36_500
    )


class ProjectChange(serializers.Serializer):
    name = serializers.CharField(max_length=120, required=False)
    description = serializers.CharField(max_length=5000, required=False, allow_blank=True)
    private = serializers.BooleanField(required=False)
    retention_days = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=36_500
    )


class MemberOut(serializers.ModelSerializer):
    username = serializers.CharField(source="user.username")
    display_name = serializers.CharField(source="user.display_name")

    class Meta:
        model = Membership
        fields = (
            "user_id",
            "username",
            "display_name",
            "role",
            "created_at",
        )


class MemberIn(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=ProjectRole.choices, default=ProjectRole.MEMBER)
