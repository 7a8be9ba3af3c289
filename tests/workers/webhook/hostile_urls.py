"""Hundreds of URLs that an attacker might register as a webhook to reach other hosts."""

import ipaddress
from collections.abc import Iterator

TARGETS = """
    127.0.0.1 127.8.9.1 0.0.0.0 10.0.0.1 100.64.0.1 169.254.169.254 172.16.0.1 192.168.1.1
"""

# In every network that is refused an address, besides the targets.
ELSEWHERE = """
    100.100.100.200 168.63.129.16 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1
    198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 [::] [::1]
    [0:0:0:0:0:0:0:1] [0000::0001] [100::1] [2001:1::1] [2001:2::1] [2001:10::1] [2001:20::1]
    [2001:db8::1] [3fff::1] [4000::1] [5f00::1] [fc00::1] [fd00:ec2::254] [fd20:ce::254] [fe80::1]
    [fec0::1] [ff02::1] [ff0e::1]
"""

# %s is the listener's host and port.
CRAFTED = r"""
    http://user:secret@%s/ http://user@%s/ http://:@%s/ http://@%s/ http://hooks.example@%s/
    http://hooks.example:80@%s/ http://%s@hooks.example/ http://hooks.example\@%s/
    http://%s\@hooks.example/ http://%s\.hooks.example/ http://hooks.example%%40%s/
    http://%s#@hooks.example/ http://%s?@hooks.example/ http://%s/@hooks.example/
    http://%s%%2f@hooks.example/ http://%s%%00.hooks.example/ http://%s&@hooks.example/
    http://%s;@hooks.example/ http://%s,hooks.example/ http://?@%s/ http://#@%s/

    http://(%s)/ http://<%s>/ http://{%s}/ http://$(%s)/ http://%s:/ http://%s:80/
    http:%s http:/%s/ http:///%s/ http:////%s/ http:\\%s\ http:/\%s/ //%s/ ///%s/ %s %s/hook /
    http http: http:/ http:// http:/// http://? http://# http://:80/ https:// https://:443/

    ftp://%s/ file:///etc/passwd file://%s/etc/passwd gopher://%s/_POST dict://%s/info ldap://%s/
    tftp://%s/ ws://%s/ wss://%s/ unix:///run/docker.sock http+unix://%%2frun%%2fdocker.sock/
    jar:http://%s/!/ url:http://%s/ view-source:http://%s/ data:text/plain,hook
    javascript:alert(1) httpss://%s/ xhttp://%s/ http:s://%s/

    http://[%s]/ http://[::1/ http://::1]/ http://::1/ http://[::1]hooks.example/
    http://[::1].hooks.example/ http://hooks.example[::1]/ http://[::1%%25lo]/ http://[::1%%lo]/
    http://[fe80::1%%eth0]/ http://[fe80::1%%25eth0]/ http://[fe80::1%%1]/ http://[v1.127.0.0.1]/
    http://[]/ http://[:]/ http://[:::]/ http://[::ffff:127.1]/ http://[::ffff:0177.0.0.1]/
    http://[::1]:/ http://[::1]:0/ http://[::1]80/
"""
# Those with blanks, control characters and other alphabets.
CRAFTED_ODD = (
    "http://%s /",
    "http:// %s/",
    " http://%s/",
    "http://%s/ ",
    "http://%s/a b",
    "http://%s\t/",
    "http://%s/\tb",
    "http://%s\r\nX-Injected: yes",
    "http://%s/\r\nX-Injected: yes",
    "http://%s/\nb",
    "http://%s/\0",
    "http://%s/\x7f",
    "http://%s/\x85",
    "http://%s/\xa0",
    "http://%s/\u2028",
    "\ufeffhttp://%s/",
    "http://\u200b%s/",
    "http://%s\u200b/",
    "http://%s\u3002hooks.example/",
    "",
    "http\u017f://%s/",
    "\uff48ttp://%s/",
)
PORTS = "0 00 080 65536 99999 -1 +80 0x50 80a 80:80 \uff18\uff10"

NAMES = """
    localhost LocalHost localhost. localhost.localdomain ip6-localhost metadata
    metadata.google.internal metadata.google.internal. 127.0.0.1.nip.example kubernetes.default.svc
    hooks.example hooks.example. hooks.example.. .. . .hooks.example hooks..example
    xn--hooks.example h\u00f6\u00f6ks.example \uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54
"""
LONG_NAMES = ("a" * 64 + ".example", ".".join(["a" * 60] * 5))


def hostile_urls(port: int) -> list[str]:
    """Each of which must be refused although every name leads to 127.0.0.1, where ``port``
    is listened on."""
    listener = f"127.0.0.1:{port}"
    targets, elsewhere = TARGETS.split(), ELSEWHERE.split()
    written = (spelling for target in targets for spelling in spellings(target))
    hosts = (*written, *elsewhere, *NAMES.split(), *LONG_NAMES)
    urls = [f"http://{host}:{port}/hook" for host in hosts]
    urls += [f"https://{host}/hook" for host in (*targets, *elsewhere)]
    urls += [f"http://127.0.0.1:{text}/" for text in (*PORTS.split(), "8 0")]
    for template in (*CRAFTED.split(), *CRAFTED_ODD):
        urls.append(template.replace("%s", listener).replace("%%", "%"))
    return list(dict.fromkeys(urls))


def spellings(target: str) -> Iterator[str]:
    """The ways to write an IPv4 address that one program or another takes for it."""
    parts = target.split(".")
    numbers = [int(part) for part in parts]
    whole = int(ipaddress.IPv4Address(target))
    yield target
    yield f"{target}."
    yield str(whole)
    yield str(whole + (1 << 32))
    yield f"{whole:#x}"
    yield f"{whole:#x}".upper().replace("X", "x")
    yield f"0{whole:o}"
    yield ".".join(f"{number:#x}" for number in numbers)
    yield ".".join(f"0X{number:02X}" for number in numbers)
    yield ".".join(f"0{number:o}" for number in numbers)
    yield ".".join(f"{number:04o}" for number in numbers)
    yield ".".join(f"{number:03d}" for number in numbers) if min(numbers) < 100 else f"0{target}"
    yield f"{numbers[0]}.{whole & 0xFFFFFF}"
    yield f"{numbers[0]}.{numbers[1]}.{whole & 0xFFFF}"
    yield f"{numbers[0]:#x}.{numbers[1]}.0{numbers[2]:o}.{numbers[3]}"
    yield "".join(f"%{ord(character):02x}" for character in target)
    yield target.replace(".", "%2e")
    yield target.replace(".", "\u3002")
    yield target.replace(".", "\uff0e")
    for zero in "\uff10\u0660\u0966\U0001d7ce":  # fullwidth, Arabic, Devanagari, mathematical
        yield "".join(
            chr(ord(zero) + int(character)) if character.isdigit() else character
            for character in target
        )
    yield from (f"[{address}]" for address in embedded(target))


def embedded(target: str) -> Iterator[str]:
    """The ways to write an IPv4 address inside an IPv6 one."""
    whole = int(ipaddress.IPv4Address(target))
    halves = f"{whole >> 16:x}:{whole & 0xFFFF:x}"
    yield f"::ffff:{target}"
    yield f"::ffff:{halves}"
    yield f"0:0:0:0:0:FFFF:{target}"
    yield f"::{target}"
    yield f"::{halves}"
    yield f"::ffff:0:{target}"
    yield f"64:ff9b::{target}"
    yield f"64:ff9b::{halves}"
    yield f"64:ff9b:1::{target}"
    yield f"64:ff9b:1:ffff::{halves}"
    yield f"2002:{halves}::1"
    yield f"2001:0:{halves}::1"
    yield f"2001::{~whole >> 16 & 0xFFFF:x}:{~whole & 0xFFFF:x}"  # Teredo's client, inverted
    yield f"2a00:1450:4001::5efe:{target}"
    yield f"2a00:1450:4001:0:200:5efe:{halves}"
