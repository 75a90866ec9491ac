"""Callers: who is trusted, for how long, and what each may do."""

from mutants.mutant import Mutant

_JWT = "tests/identity/test_jwt.py::"
_TOKENS = "tests/identity/test_api_tokens.py::"
_OWN = "tests/api/test_own_services.py::"

MUTANTS = (
    Mutant(
        "a_jwt_of_any_issuer_is_believed",
        "A JWT is trusted only if it is of the issuer in the settings",
        "core/identity/jwt_tokens.py",
        (("            issuer=self._settings.issuer,\n", ""),),
        killers=(f"{_JWT}test_a_token_for_others_or_out_of_its_time_is_refused",),
    ),
    Mutant(
        "any_algorithm_is_taken",
        "Only signatures by the algorithms of the settings are taken",
        "core/identity/jwt_tokens.py",
        (("        if algorithm not in self._settings.algorithms:\n", "        if False:\n"),),
        killers=(f"{_JWT}test_an_algorithm_that_is_not_in_the_settings_is_refused",),
    ),
    Mutant(
        "each_unknown_key_has_the_set_read",
        "An issuer's keys are read every ten seconds at most",
        "core/identity/jwks.py",
        (
            (
                "            if not at_once and self._clock() - self._tried_at < BETWEEN_SECONDS:\n",
                "            if False:\n",
            ),
        ),
        killers=(f"{_JWT}test_a_flood_of_unknown_keys_has_the_set_read_every_ten_seconds",),
    ),
    Mutant(
        "a_token_is_believed_for_good",
        "A revoked token is refused within 30 s",
        "core/identity/access.py",
        (
            (
                "min(self.kept_seconds, found.seconds if found.seconds is not None else math.inf)",
                "found.seconds if found.seconds is not None else math.inf",
            ),
        ),
        killers=(f"{_TOKENS}test_a_revoked_token_is_refused_within_thirty_seconds",),
    ),
    Mutant(
        "an_outage_makes_tokens_last_for_ever",
        "While the store is away, a known token goes on for five minutes",
        "core/identity/api_tokens.py",
        ((" or now - seen >= TRUSTED_SECONDS", ""),),
        killers=(f"{_TOKENS}test_a_known_token_goes_on_while_the_store_is_away_but_not_for_ever",),
    ),
    Mutant(
        "a_completion_token_is_enough",
        "Where callers are known, a delivery is completed by its own service",
        "api/deliveries/completions.py",
        (
            (
                "        if known is not None and not principal.may_act_for(",
                "        if False and not principal.may_act_for(",
            ),
            (
                "            if not principal.may_act_for(",
                "            if False and not principal.may_act_for(",
            ),
        ),
        killers=(f"{_OWN}test_a_completion_token_alone_completes_nothing",),
    ),
    Mutant(
        "a_handler_registers_any_service",
        "A handler registers only the services of its credential",
        "api/handlers/registrations.py",
        (
            (
                '        caller().require_service("RegisterHandler", wanted.service_name, namespace)\n',
                "",
            ),
        ),
        killers=(f"{_OWN}test_a_handler_registers_its_own_services_and_no_other",),
    ),
    Mutant(
        "a_token_is_sent_in_the_open",
        "A client sends its token over TLS or on loopback only",
        "worker_sdk/credentials.py",
        (("        if place is not None and not insecure and not tls:\n", "        if False:\n"),),
        killers=(
            "tests/worker_sdk/test_credentials.py::"
            "test_a_token_is_not_sent_where_others_can_read_it",
        ),
    ),
    Mutant(
        "a_profiles_token_goes_anywhere",
        "A profile's token goes to the profile's address only",
        "cli/connection.py",
        (
            (
                "    if profile is not None and value == profile.address:\n",
                "    if profile is not None:\n",
            ),
        ),
        killers=("tests/cli/test_login.py::test_a_token_of_a_profile_goes_to_no_other_address",),
    ),
)
