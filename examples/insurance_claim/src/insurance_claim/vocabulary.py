"""The words the extractor knows, by what they tell. A trailing `*` marks a stem.

Nine languages share one table because claims mix them ("mein Koffer, flight LH 123"): a word that
would tell two different things in two languages is left out rather than guessed at.
"""

import re
from collections.abc import Mapping, Sequence

CLAIM_TYPES = ("car", "home", "travel", "health")

# How a policy number begins, by the type of claim it covers.
POLICY_PREFIXES = {"CAR": "car", "HOM": "home", "TRV": "travel", "HLT": "health"}

_TYPE_WORDS: Mapping[str, str] = {
    "car": (
        "car cars vehicle* bumper* windscreen windshield collision rear-ended driver motorway "
        "auto autos wagen fahrzeug* pkw stoßstange auffahrunfall kotflügel parkplatz "
        "voiture* véhicule pare-chocs pare-brise coche vehículo parachoques "
        "macchina paraurti tampon* aanrijding carro para-choque* samoch* zderzak* 車 追突"
    ),
    "home": (
        "house kitchen roof pipe* burst flood* leak* basement cellar burglar* apartment ceiling "
        "wasserrohrbruch keller wohnung haus einbruch dach küche dégât* cuisine toit maison "
        "appartement cambriol* tejado cocina tubería* casa inundación tetto cucina allagament* "
        "huis kelder lekkage telhado mieszkani* zalan* 水漏れ 台所"
    ),
    "travel": (
        "flight* luggage suitcase* baggage airport hotel trip airline holiday flug koffer gepäck* "
        "reise urlaub flughafen bagage* valise* aéroport voyage vuelo maleta* equipaje viaje "
        "volo valigi* bagagl* viaggio vlucht voo bagagem viagem bagaż* walizk* 荷物 空港 旅行"
    ),
    "health": (
        "hospital surgery doctor dentist dental physio* prescription fracture* krankenhaus arzt "
        "zahnarzt* krone hôpital médecin dentiste soins médico cirugía dentista ospedale medico "
        "ziekenhuis tandarts szpital* lekarz* dentyst* 病院 手術"
    ),
}

_LANGUAGE_WORDS: Mapping[str, str] = {
    "en": "the and was my i is of to have on",
    "de": "der die das und ist ich mein meine wurde ein auf am mit",
    "fr": "le la les et est je mon ma une des dans était sur",
    "es": "el los y mi es una que por fue con las",
    "it": "il gli e mio mia è una di che sono stato nel",
    "nl": "het een mijn is op van ik en werd niet",
    "pt": "o os meu minha foi um uma não com em na",
    "pl": "i w na mój się jest moje nie do z",
}

MONTHS: Mapping[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "january januar januari janvier enero gennaio janeiro stycznia jan",
            "february februar februari février febrero febbraio fevereiro lutego feb",
            "march märz maart mars marzo março marca mar",
            "april avril abril aprile kwietnia apr",
            "may mai mei mayo maggio maio maja",
            "june juni juin junio giugno junho czerwca jun",
            "july juli juillet julio luglio julho lipca jul",
            "august augustus août agosto sierpnia aug",
            "september septembre septiembre settembre setembro września sept sep",
            "october oktober octobre octubre ottobre outubro października oct okt",
            "november novembre noviembre novembro listopada nov",
            "december dezember décembre diciembre dicembre dezembro grudnia dec dez",
        ),
        start=1,
    )
    for name in names.split()
}

# Days before the day of receipt; by language, for "hier" is French for yesterday, German for here.
RELATIVE_DAYS: Mapping[str, Mapping[str, int]] = {
    "en": {"today": 0, "this morning": 0, "yesterday": 1, "last night": 1},
    "de": {"heute": 0, "gestern": 1, "vorgestern": 2},
    "fr": {"aujourd'hui": 0, "ce matin": 0, "hier": 1, "avant-hier": 2},
    "es": {"hoy": 0, "ayer": 1, "anteayer": 2},
    "it": {"oggi": 0, "ieri": 1, "l'altro ieri": 2},
    "nl": {"vandaag": 0, "gisteren": 1, "eergisteren": 2},
    "pt": {"hoje": 0, "ontem": 1, "anteontem": 2},
    "pl": {"dzisiaj": 0, "wczoraj": 1, "przedwczoraj": 2},
    "ja": {"今日": 0, "昨日": 1, "一昨日": 2},
}

# "Nobody was injured" is good news, not an injury: one of these words shortly before.
NEGATION_BEFORE = re.compile(
    r"(?<!\w)(?:no|nobody|not|without|none|niemand|keine?|nicht|personne|pas|nessuno|nadie|ninguém|"
    r"nikt)\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
_INJURY_WORDS = (
    "injured injury ambulance whiplash verletzt* rettungswagen blessé* ambulanza ferito herido* "
    "gewond ferido* ranny 怪我をし"
)

# What an adjuster would look at twice.
_SUSPICIOUS_PHRASES: Mapping[str, Sequence[str]] = {
    "no_receipts": (
        "no receipt*", "receipts are lost", "lost the receipts", "ohne beleg*", "keine belege",
        "sans facture", "sin recibo*", "senza ricevut*", "geen bon*", "sem recibo*",
    ),
    "cash": ("in cash", "paid cash", "bar bezahlt", "en espèces", "en efectivo", "in contanti"),
    "no_witness": ("no witness*", "nobody saw", "keine zeugen", "sans témoin*", "sin testigos"),
    "repeated": ("third time", "again this year", "zum dritten mal", "troisième fois"),
    "pressing": ("pay today", "immediately or", "sofort auszahlen", "payez tout de suite"),
}  # fmt: skip

_DAMAGE_WORDS: Mapping[str, str] = {
    "bumper": "bumper* stoßstange pare-chocs parachoques paraurti para-choque* zderzak* バンパー",
    "glass": "windscreen windshield window windschutzscheibe pare-brise parabrisas voorruit",
    "body": "door doors fender dent dents dented kotflügel tür portière puerta portiera deur",
    "total_loss": "write-off totalled totalschaden épave siniestro",
}


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """One pattern for many words; words of a script without spaces match anywhere."""
    parts = []
    for word in words:
        if not word.isascii() and ord(word[0]) > 0x3000:
            parts.append(re.escape(word))
        elif word.endswith("*"):
            parts.append(rf"(?<!\w){re.escape(word[:-1])}\w*")
        else:
            parts.append(rf"(?<!\w){re.escape(word)}(?!\w)")
    return re.compile("|".join(parts), re.IGNORECASE)


TYPE_PATTERNS = {kind: _pattern(words.split()) for kind, words in _TYPE_WORDS.items()}
LANGUAGE_PATTERNS = {code: _pattern(words.split()) for code, words in _LANGUAGE_WORDS.items()}
RELATIVE_PATTERNS = {code: _pattern(tuple(words)) for code, words in RELATIVE_DAYS.items()}
INJURY_PATTERN = _pattern(_INJURY_WORDS.split())
SUSPICION_PATTERNS = {cue: _pattern(phrases) for cue, phrases in _SUSPICIOUS_PHRASES.items()}
DAMAGE_PATTERNS = {part: _pattern(words.split()) for part, words in _DAMAGE_WORDS.items()}
JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
