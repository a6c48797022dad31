"""Who pays: customers, with what tax, invoices and letters need to know of them."""
