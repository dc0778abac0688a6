"""Signs: what a text says in so many words. Each is a number of the classifier's input, none decides alone.

Patterns are matched in normalised text (``normalising``). They name acts, aims and contexts; the words of abuse
themselves come from a published lexicon among the weights, not from here.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_I = r"(?:i|we)(?: am|'m| m|'ve| have| really| just| also)*"
_SELF = r"(?:my|your|him|her|one|them|our)\s?sel(?:f|ves)"

PATTERNS: dict[str, str] = {
    "self-harm": r"suicid|self[- ]?harm|self[- ]?injur|\b(?:kill|kills|killing|hurt|hurting|cut|cutting|hang|hanging"
    rf"|starve|starving|burn|burning|harm|harming) {_SELF}|\boverdos|anorexi|bulimi|pro[- ]?ana\b|thinspo"
    r"|\b(?:slit|cut|cutting) (?:my|your|his|her|their) (?:wrists?|veins?|arms?|thighs?)|\bpurging\b|\bend (?:my|your) (?:own )?life",
    "self-harm intent": rf"\b{_I} (?:want(?:ed)? to|wanna|will|'ll|going to|gonna|plan(?:ning)? to|need to|thinking (?:of|about)"
    r"|might|keep|been|started|can't stop|feel like|wish i could)? ?(?:die|be dead|to die|dying|end(?:ing)? (?:it all|my life|everything)"
    r"|kill(?:ing)? myself|hurt(?:ing)? myself|harm(?:ing)? myself|cut(?:ting)? (?:myself|my \w+)|starv(?:e|ing) myself"
    r"|hang(?:ing)? myself|overdos(?:e|ing)|disappear(?:ing)? forever|jump(?:ing)? off)"
    r"|\b(?:don't|do not|dont) want to (?:live|be alive|exist|wake up|be here) ?(?:any ?more)?"
    r"|\b(?:no reason to live|better off (?:dead|without me)|i wish i (?:was|were) dead|my suicide note|goodbye letter)|\bi(?:'m| am) suicidal",
    "self-harm urging": r"^(?:kill yourself|go die)|\b(?:go|just|should|please|why don't you|do us a favor and) (?:and )?(?:kill yourself|die\b|end your life|jump off)|\bkys\b"
    r"|(?:world|everyone|we) (?:would|will|'d) be better (?:off )?without you",
    "self-harm how": rf"(?:\bhow\b|\bways?\b|method|painless|fastest|easiest|instruct|step|plan|tips?|dose|lethal).{{0,80}}(?:suicid|self[- ]?harm"
    rf"|(?:kill|hurt|cut|hang|starve|harm) {_SELF}|overdos|purg|\bnoose|\bend my life|without (?:eating|food))",
    "threat": r"\b(?:i|we|they|he|she|somebody|someone)(?:'ll| will|'m going to| am going to| gonna|'m gonna|'re going to| are going to| should|'d love to| want to| swear)"
    r" (?:\w+ ){0,3}(?:kill|shoot|stab|beat|hurt|burn|murder|strangle|destroy|end|break|hunt|bury|slit|smash|cut|attack|find) "
    r"(?:you|him|her|them|your|his|every|all|that|this|those|the)|\b(?:you(?:'re| are) dead|watch your back|you will (?:pay|regret|suffer|die)"
    r"|you(?:'ll| will) be sorry|i know where you live|you deserve to (?:die|be (?:shot|killed|hurt|beaten)))",
    "violence": r"\b(?:kill|murder|stab|shoot|shot|behead|strangl|tortur|massacr|slaughter|assassinat|lynch|punch|kick|beat(?:ing|en)? (?:up|to death)|execut|maim|throttl|bludgeon|knife|gunfire|attack)",
    "gore": r"\b(?:blood|gore\b|guts|entrails|intestin|dismember|decapitat|sever(?:ed|ing)|mutilat|disembowel|eviscerat|skull|flesh|brains?\b|bone[s]? |gush|spurt|splatter|wound|corpse|limb)",
    "weapon": r"\b(?:pipe ?bombs?|bombs?|explosives?|molotov|grenades?|silencers?|ghost guns?|nerve agents?|ricin|sarin|anthrax|bioweapons?|biological (?:weapons?|agents?|warfare)"
    r"|chemical weapons?|poison(?:ous)?|ammunition|firearms?|guns?|rifles?|detonators?|thermite|napalm|landmines?|dirty bomb|nuclear (?:weapon|device)|machetes?)\b",
    "crime": r"\b(?:steal|stolen|shoplift|hack(?!athon)|phish|malware|virus\b|ransomware|keylogg|trojan|botnet|launder|counterfeit|forg(?:e|ing|ed)\b|fraud|scam|smuggl|traffick|blackmail"
    r"|extort|break(?:ing)? into|hotwir|pick(?:ing)? (?:a |the )?locks?|evad|bypass|identity theft|embezzl|stalk|kidnap|insider trading|pirat|fake (?:id|passport|documents?)|exploit|illegal|without (?:getting )?caught|undetected)",
    "drugs": r"\b(?:meth|methamphetamine|cocaine|crack cocaine|heroin|fentanyl|lsd|mdma|ecstasy|ketamine|ghb|darknet|dark web)\b",
    "asks how": r"\bhow (?:do|can|to|would|could|should)\b|step[- ]by[- ]step|\b(?:instructions?|guide|tutorial|recipe|blueprint|teach|ways to|strategy|plan (?:to|for))\b",
    "asks for text": r"^(?:please |can you |could you )?(?:write|create|generate|develop|design|draft|make|give|provide|list|tell|describe|compose|produce)\b",
    "group": r"\b(?:muslims?|islam(?:ic)?|jew(?:s|ish)?|christians?|hindus?|blacks?|black (?:people|men|women)|african[- ]americans?|whites|white (?:people|men|women)|asians?|chinese|mexicans?|latinos?|hispanics?|arabs?"
    r"|indians?|africans?|immigrants?|migrants?|refugees?|foreigners?|gays?|lesbians?|homosexuals?|queers?|trans(?:gender)?(?: people)?|lgbt\w*|women|females?|disabled|autistic|roma|gyps(?:y|ies)|race|races|ethnic|minorit(?:y|ies))\b",
    "group hostility": r"\b(?:vermin|sub-?human|inferior|parasites?|cockroach(?:es)?|plague|filth(?:y)?|savages?|animals|invaders?|degenerates?|primitive|unnatural|disgust\w*|go back to|don't belong|do not belong|ruin(?:ing|ed)?|deport|exterminate"
    r"|wipe(?:d)? out|get rid of|hate (?:all )?|all (?:lazy|criminals|terrorists|thieves)|should (?:all )?(?:be|not be allowed)|stealing our|taking our|threat to)",
    "insult": r"\b(?:idiots?|stupid|morons?|losers?|pathetic|worthless|dumb|ugly|disgusting|trash|scum|liar|coward|fool|ignorant|incompetent|clown|shut up|nobody likes you|hate you|waste of space|hideous|imbecile|useless)\b",
    "you": r"\b(?:you|your|you're|u|ur)\b",
    "minor": r"\b(?:minors?|under-?age(?:d)?|child(?:ren)?|kids?|pre-?teens?|school ?(?:girl|boy)s?|toddlers?|infants?|bab(?:y|ies)|little (?:girl|boy)s?|(?:young )?teen(?:age)?(?:r|rs|s)?"
    r"|(?:[1-9]|1[0-7])[- ]?(?:years?[- ]?olds?|yo|y/o)|(?:five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)[- ]years?[- ]olds?|pupils?|daughter|son|niece|nephew)\b",
    "sexual": r"\b(?:sex(?:y|ual|ually)?|erotic\w*|porn\w*|nude|naked|orgasm\w*|arous\w*|seduc\w*|masturbat\w*|genital\w*|penis|vagina|breasts?|nipples?|fetish\w*|horny|strip(?:ped|per|tease)|moan\w*|thrust\w*|kink\w*|lingerie|intimate|intercourse)\b",
    "sex education": r"\b(?:contracepti\w+|reproduct\w+|condoms?|std|sti|hiv|consent|sex education|sexual health|puberty|gynecolog\w+|doctor|clinic|pregnan\w+|fertil\w+)\b",
    "help": r"hotline|helpline|\b988\b|reach(?:ing)? out|seek(?:ing)? (?:professional )?help|therap|prevention|support group|counsel|mental health|crisis line|recover",
    "refusal": r"\bi(?:'m| am) (?:really |very |so )?sorry|\bi (?:can(?:'t|not)|won't|will not|am not able|am unable|'m unable|do not feel) |not appropriate|against (?:my|the|all) (?:guidelines|programming|policy|policies|rules)|as an ai",
    "fiction or past": r"\b(?:novel|story|film|movie|fiction\w*|character|historical|history|century|documentary|lyrics|battle of|war of|news)\b",
    "machine": r"\b(?:process|thread|server|program|function|command|script|python|javascript|code|database|query|app|software|file|api|linux|terminal|task manager)\b",
    "idiom": r"\b(?:kill(?:ing|ed)? (?:time|it|two birds)|dying to|to die for|shoot me an? (?:email|message|text|note)|photo ?shoot|shot of espresso|killer (?:app|feature|deal|workout)|bomb ?(?:shell|astic)|bath bomb|dead(?:line| tired)|knock(?:ed)? it out|break a leg|hit me up|beat the (?:deadline|traffic|record|competition)|my feet are killing me|blow(?:n)? away|roast(?:ed)? (?:chicken|vegetables|potatoes|beef))\b",
}

LEXICON_GROUPS = (
    ("racial / ethnic slurs", "slur of origin"),
    ("sexual orientation / gender", "slur of gender"),
    ("religious offense", "slur of religion"),
    ("mental disability", "slur of ability"),
    ("physical disability", "slur of ability"),
    ("sexual anatomy / sexual acts", "sexual word"),
    ("other / general insult", "insulting word"),
    ("physical attributes", "insulting word"),
    ("animal references", "insulting word"),
    ("bodily fluids / excrement", "vulgar word"),
    ("political", "insulting word"),
)
LEXICON_SIGNS = tuple(dict.fromkeys(sign for _, sign in LEXICON_GROUPS))
SIGNS = (*PATTERNS, *(f"{name} times" for name in ("threat", "gore", "violence", "sexual")), *LEXICON_SIGNS)
"""Names of the numbers, in order."""

_WORD = re.compile(r"[a-z0-9']+")
_DOUBLED = re.compile(r"([a-z])\1")
_MOST_WORDS = 4
_STRONG = 1.6
"""Lexicon entries below this severity (of 3) are everyday words; they do not count."""


class Signs:
    """Reads signs from texts.

    Args:
        lexicon: CSV of words with the columns ``text``, ``category_1`` to ``category_3`` and ``severity_rating``.
    """

    def __init__(self, lexicon: Path) -> None:
        self._patterns = [(name, re.compile(pattern)) for name, pattern in PATTERNS.items()]
        groups = dict(LEXICON_GROUPS)
        self._lexicon: dict[str, frozenset[str]] = {}
        with lexicon.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found = {groups[row[f"category_{place}"]] for place in (1, 2, 3) if row[f"category_{place}"] in groups}
                phrase = " ".join(_WORD.findall(row["text"].lower()))
                if phrase and found and float(row["severity_rating"] or 0) >= _STRONG:
                    self._lexicon[phrase] = frozenset(found)

    def read(self, text: str) -> NDArray[np.float32]:
        """The numbers of one normalised text, shape (len(SIGNS),), each from 0 to 1."""
        found = {name: len(pattern.findall(text)) for name, pattern in self._patterns}
        words = _WORD.findall(text)
        lexical = dict.fromkeys(LEXICON_SIGNS, 0)
        for start in range(len(words)):
            for length in range(1, min(_MOST_WORDS, len(words) - start) + 1):
                phrase = " ".join(words[start : start + length])
                for sign in self._lexicon.get(phrase) or self._lexicon.get(_DOUBLED.sub(r"\1", phrase), ()):
                    lexical[sign] += 1
        values = [float(found[name] > 0) for name in PATTERNS]
        values += [min(found[name], 4) / 4 for name in ("threat", "gore", "violence", "sexual")]
        values += [min(lexical[name], 2) / 2 for name in LEXICON_SIGNS]
        return np.array(values, dtype=np.float32)
