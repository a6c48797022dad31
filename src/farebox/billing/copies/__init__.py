"""What billing knows of access's catalogue and consumers: copies, written by access's events only.

They are a context of their own below pricing, because all contexts of billing read them (pricing
what is priced, orders what is sold, invoices who pays) and none of them may write them.
"""
