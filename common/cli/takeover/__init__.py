"""`toast takeover`: take a service over from the live system without a surprise.

``first_passes`` shows what the first passes would do, and does them; ``plan`` is what it shows. The
other modules carry the settings of a live service over, and print how to switch its schedulers off.
"""
