"""People, projects and what keeps a person signed in. Services of this app write these rows.

A queryset of projects reaches a view only through `Project.objects.visible_to(user)`.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from labportal.accounts.browsers import name_of
from labportal.accounts.roles import Can, Role, can


class Level(models.TextChoices):
    """What reaches a person by e-mail: everything, errors alone, or nothing."""

    INFO = "info", "Results and errors"
    ERROR = "error", "Errors only"
    NONE = "none", "Nothing"


class ColourScheme(models.TextChoices):
    AUTO = "auto", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        fields.setdefault("email", "")
        user = self.model(username=username, **fields)
        user.email = self.normalize_email(user.email)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """Create an admin (what `manage.py createsuperuser` calls)."""
        fields.setdefault("role", Role.ADMIN)
        return self.create_user(username, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a person by the name that they sign in with; capitals do not matter."""
        return self.get(username__iexact=username)


class User(AbstractUser):
    """A person of the lab. Blocked means `is_active` is False."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.USER)
    email = models.EmailField("e-mail", blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    colour_scheme = models.CharField(
        max_length=8, choices=ColourScheme.choices, default=ColourScheme.AUTO
    )
    notification_level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    notify_about_all = models.BooleanField(default=False)
    sign_out_epoch = models.PositiveIntegerField(default=0)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering = ("username",)
        constraints = (
            models.UniqueConstraint(Lower("username"), name="accounts_user_username_ci"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="accounts_user_role"
            ),
        )

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        """The name in lists: "Ada L." where a full name is known."""
        if self.first_name and self.last_name:
            return f"{self.first_name} {self.last_name[0]}."
        return self.first_name or self.username

    @property
    def initials(self) -> str:
        if self.first_name and self.last_name:
            return f"{self.first_name[0]}{self.last_name[0]}".upper()
        return self.username[:2].upper()

    @property
    def is_blocked(self) -> bool:
        return not self.is_active

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Tie sessions to the password and to the epoch: a higher epoch ends all of them."""
        return salted_hmac(
            "labportal.accounts.User.session",
            f"{self.password}:{self.sign_out_epoch}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: Any) -> "ProjectQuerySet":
        """The projects a person may see: open ones, their own; for moderators and admins all."""
        if not can(user, Can.SIGN_IN):
            return self.none()
        if can(user, Can.VIEW_ALL_PROJECTS):
            return self.all()
        mine = Membership.objects.filter(project=models.OuterRef("pk"), user=user)
        return self.filter(models.Q(private=False) | models.Exists(mine))


class Project(models.Model):
    """What calculations, structures and data sets belong to. Open, or private to its members."""

    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=140, unique=True)
    description = models.TextField(blank=True)
    private = models.BooleanField(default=False)
    is_default = models.BooleanField(default=False)
    # How long raw files stay on the clusters; None: as long as the lab's settings say.
    retention_days = models.PositiveIntegerField(null=True, blank=True)
    # Its part of the clusters where several projects wait, against the shares of the others.
    shares = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="projects"
    )

    objects: ClassVar[models.Manager["Project"]] = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("-is_default", "name")
        constraints = (
            models.UniqueConstraint(
                fields=("is_default",),
                condition=models.Q(is_default=True),
                name="accounts_project_one_default",
            ),
            models.CheckConstraint(
                condition=models.Q(is_default=False) | models.Q(private=False),
                name="accounts_project_default_is_open",
            ),
        )

    def __str__(self) -> str:
        return self.name


class ProjectRole(models.TextChoices):
    MEMBER = "member", "Member"
    MANAGER = "manager", "Manager"


class Membership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=ProjectRole.choices, default=ProjectRole.MEMBER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("user__username",)
        constraints = (
            models.UniqueConstraint(fields=("project", "user"), name="accounts_membership_once"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} in {self.project_id} as {self.role}"


class BrowserSession(models.Model):
    """A browser that is signed in: what the profile lists and revokes, one row per session."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="browser_sessions"
    )
    session_key = models.CharField(max_length=40, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(default=timezone.now)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ("-last_seen_at",)

    def __str__(self) -> str:
        return f"{self.name} of {self.user_id}"

    @property
    def name(self) -> str:
        return name_of(self.user_agent)


class RefreshGrant(models.Model):
    """A refresh token that was given out, by its id (`jti`): the token itself is never stored.

    Each use replaces it by the next of its family; a second use of the same one betrays a thief.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="refresh_grants"
    )
    jti = models.CharField(max_length=64, unique=True)
    family = models.UUIDField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"Refresh grant {self.pk} of {self.user_id}"

    @property
    def name(self) -> str:
        return name_of(self.user_agent)
