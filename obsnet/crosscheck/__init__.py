"""Top-down against bottom-up: is an inventory consistent with the observations, or can nobody tell?"""
