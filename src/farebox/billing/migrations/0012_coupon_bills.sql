-- What a bill that came to nothing had counted is found by the bill.
CREATE INDEX coupon_use_bill_ix ON coupon_use (bill);
