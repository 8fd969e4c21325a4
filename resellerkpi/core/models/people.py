"""People who sign in, and what they are to which reseller."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from resellerkpi.core.access import Role
from resellerkpi.core.models.tenants import Reseller


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user with a hashed password."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a user by e-mail, whatever its case."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person; signs in by e-mail. `current_reseller` is the house the person stands in now."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    is_operator = models.BooleanField(default=False)
    current_reseller = models.ForeignKey(
        Reseller, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.name or self.email


class Membership(models.Model):
    """A user's role with one reseller; a dealer or portal customer is narrowed to its own rows."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    reseller = models.ForeignKey(Reseller, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)
    dealer_id = models.BigIntegerField(null=True, blank=True)
    customer_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "reseller"], name="membership_once"),
            models.CheckConstraint(
                name="membership_dealer_has_dealer",
                condition=~models.Q(role=Role.DEALER) | models.Q(dealer_id__isnull=False),
            ),
            models.CheckConstraint(
                name="membership_customer_has_customer",
                condition=~models.Q(role=Role.CUSTOMER) | models.Q(customer_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.reseller}: {self.get_role_display()}"
