-- Invoices and credit notes. What was issued is kept as it was issued: the database itself refuses
-- to change it, whoever asks.

-- Who sells, in versions: a document keeps the one that it was issued under.
CREATE TABLE seller (
  version BIGINT NOT NULL,
  details TEXT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT seller_pk PRIMARY KEY (version)
) STRICT;
APPEND_ONLY seller;

-- Documents are numbered by series; `yearly` begins again with 1 each year.
CREATE TABLE document_series (
  series TEXT NOT NULL,
  kind TEXT NOT NULL,
  prefix TEXT NOT NULL,
  yearly BIGINT NOT NULL,
  digits BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  CONSTRAINT document_series_pk PRIMARY KEY (series),
  CONSTRAINT document_series_prefix_uq UNIQUE (prefix),
  CONSTRAINT document_series_ck CHECK (kind IN ('invoice', 'credit_note') AND yearly IN (0, 1) AND digits BETWEEN 1 AND 12)
) STRICT;

-- The row that whoever issues locks, until the number is durable or never was. Year 0: not yearly.
CREATE TABLE document_counter (
  series TEXT NOT NULL,
  year BIGINT NOT NULL,
  last BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT document_counter_pk PRIMARY KEY (series, year),
  CONSTRAINT document_counter_series_fk FOREIGN KEY (series) REFERENCES document_series (series),
  CONSTRAINT document_counter_ck CHECK (last >= 0)
) STRICT;
REFUSE document_counter_goes_on UPDATE ON document_counter
  WHEN NEW.last <> OLD.last + 1 OR NEW.series <> OLD.series OR NEW.year <> OLD.year
  SAYING 'numbers are given one after the other';
REFUSE document_counter_is_kept DELETE ON document_counter
  WHEN OLD.last > 0
  SAYING 'numbers are given one after the other';

-- Nothing is dated before the end of the newest closed period.
CREATE TABLE closed_period (
  until BIGINT NOT NULL,
  closed_at BIGINT NOT NULL,
  CONSTRAINT closed_period_pk PRIMARY KEY (until)
) STRICT;
APPEND_ONLY closed_period;

-- Born a draft, then issued once. Everything but state, paid, canceled, written_off and closed_at
-- stays as it was issued. `asked` is the digest of what was asked under `key`.
CREATE TABLE invoice (
  id TEXT NOT NULL,
  key TEXT NOT NULL,
  asked TEXT NOT NULL,
  series TEXT NOT NULL,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  language TEXT,
  subscription TEXT,
  order_id TEXT,
  period_start BIGINT,
  period_end BIGINT,
  due_days BIGINT NOT NULL,
  priced BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  year BIGINT,
  sequence BIGINT,
  number TEXT,
  issued_at BIGINT,
  due_at BIGINT,
  seller TEXT,
  buyer TEXT,
  inclusive BIGINT NOT NULL,
  treatment TEXT,
  fees BIGINT NOT NULL,
  discount BIGINT NOT NULL,
  net BIGINT NOT NULL,
  tax BIGINT NOT NULL,
  total BIGINT NOT NULL,
  paid BIGINT NOT NULL,
  canceled BIGINT NOT NULL,
  written_off BIGINT NOT NULL,
  closed_at BIGINT,
  CONSTRAINT invoice_pk PRIMARY KEY (id),
  CONSTRAINT invoice_key_uq UNIQUE (key),
  CONSTRAINT invoice_number_uq UNIQUE (number),
  CONSTRAINT invoice_sequence_uq UNIQUE (series, year, sequence),
  CONSTRAINT invoice_series_fk FOREIGN KEY (series) REFERENCES document_series (series),
  CONSTRAINT invoice_state_ck CHECK (state IN ('draft', 'issued', 'paid', 'past_due', 'void', 'uncollectible')),
  CONSTRAINT invoice_issued_ck CHECK ((state = 'draft') = (issued_at IS NULL) AND (issued_at IS NULL) = (number IS NULL) AND (issued_at IS NULL) = (sequence IS NULL) AND (issued_at IS NULL) = (year IS NULL) AND (issued_at IS NULL) = (seller IS NULL) AND (issued_at IS NULL) = (buyer IS NULL) AND (issued_at IS NULL) = (due_at IS NULL)),
  CONSTRAINT invoice_flags_ck CHECK (priced IN (0, 1) AND inclusive IN (0, 1) AND due_days >= 0),
  CONSTRAINT invoice_sum_ck CHECK (net + tax = total),
  CONSTRAINT invoice_owed_ck CHECK (issued_at IS NULL OR (total >= 0 AND paid >= 0 AND canceled >= 0 AND written_off >= 0 AND paid + canceled + written_off <= total))
) STRICT;
CREATE INDEX invoice_customer_ix ON invoice (customer, id);
CREATE INDEX invoice_due_ix ON invoice (state, due_at);

CREATE TABLE invoice_line (
  invoice TEXT NOT NULL,
  line BIGINT NOT NULL,
  description TEXT NOT NULL,
  product TEXT,
  plan TEXT,
  item TEXT,
  price TEXT,
  price_version BIGINT,
  unit_price TEXT,
  quantity TEXT NOT NULL,
  unit TEXT,
  period_start BIGINT,
  period_end BIGINT,
  tax_category TEXT,
  inclusive BIGINT NOT NULL,
  own_rates TEXT,
  amount BIGINT NOT NULL,
  discount BIGINT NOT NULL,
  net BIGINT NOT NULL,
  tax BIGINT NOT NULL,
  gross BIGINT NOT NULL,
  taxes TEXT NOT NULL,
  discounts TEXT NOT NULL,
  deferred BIGINT NOT NULL,
  CONSTRAINT invoice_line_pk PRIMARY KEY (invoice, line),
  CONSTRAINT invoice_line_invoice_fk FOREIGN KEY (invoice) REFERENCES invoice (id),
  CONSTRAINT invoice_line_ck CHECK (line >= 1 AND net + tax = gross AND (amount - discount = net OR amount - discount = gross))
) STRICT;

REFUSE invoice_is_drafted INSERT ON invoice
  WHEN NEW.issued_at IS NOT NULL OR EXISTS (SELECT 1 FROM invoice WHERE invoice.id = NEW.id AND invoice.issued_at IS NOT NULL)
  SAYING 'an invoice begins as a draft';
REFUSE invoice_is_kept DELETE ON invoice
  WHEN OLD.issued_at IS NOT NULL
  SAYING 'an issued invoice is kept';
REFUSE invoice_stays_as_issued UPDATE ON invoice
  WHEN OLD.issued_at IS NOT NULL AND (NEW.id IS DISTINCT FROM OLD.id OR NEW.key IS DISTINCT FROM OLD.key OR NEW.asked IS DISTINCT FROM OLD.asked OR NEW.series IS DISTINCT FROM OLD.series OR NEW.customer IS DISTINCT FROM OLD.customer OR NEW.currency IS DISTINCT FROM OLD.currency OR NEW.language IS DISTINCT FROM OLD.language OR NEW.subscription IS DISTINCT FROM OLD.subscription OR NEW.order_id IS DISTINCT FROM OLD.order_id OR NEW.period_start IS DISTINCT FROM OLD.period_start OR NEW.period_end IS DISTINCT FROM OLD.period_end OR NEW.due_days IS DISTINCT FROM OLD.due_days OR NEW.priced IS DISTINCT FROM OLD.priced OR NEW.created_at IS DISTINCT FROM OLD.created_at OR NEW.year IS DISTINCT FROM OLD.year OR NEW.sequence IS DISTINCT FROM OLD.sequence OR NEW.number IS DISTINCT FROM OLD.number OR NEW.issued_at IS DISTINCT FROM OLD.issued_at OR NEW.due_at IS DISTINCT FROM OLD.due_at OR NEW.seller IS DISTINCT FROM OLD.seller OR NEW.buyer IS DISTINCT FROM OLD.buyer OR NEW.inclusive IS DISTINCT FROM OLD.inclusive OR NEW.treatment IS DISTINCT FROM OLD.treatment OR NEW.fees IS DISTINCT FROM OLD.fees OR NEW.discount IS DISTINCT FROM OLD.discount OR NEW.net IS DISTINCT FROM OLD.net OR NEW.tax IS DISTINCT FROM OLD.tax OR NEW.total IS DISTINCT FROM OLD.total)
  SAYING 'an issued invoice is not changed';
REFUSE invoice_keeps_its_order UPDATE ON invoice
  WHEN NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN ('draft>issued', 'issued>paid', 'issued>past_due', 'issued>void', 'issued>uncollectible', 'past_due>paid', 'past_due>void', 'past_due>uncollectible', 'uncollectible>paid')
  SAYING 'an invoice does not go from this state to that';
REFUSE invoice_is_the_sum_of_its_lines UPDATE ON invoice
  WHEN OLD.issued_at IS NULL AND NEW.issued_at IS NOT NULL AND (NEW.total <> (SELECT coalesce(sum(gross), 0) FROM invoice_line WHERE invoice_line.invoice = NEW.id) OR NEW.tax <> (SELECT coalesce(sum(tax), 0) FROM invoice_line WHERE invoice_line.invoice = NEW.id))
  SAYING 'an invoice is the sum of its lines';
REFUSE invoice_has_the_next_number UPDATE ON invoice
  WHEN OLD.issued_at IS NULL AND NEW.issued_at IS NOT NULL AND NEW.sequence <> 1 AND NOT EXISTS (SELECT 1 FROM invoice AS earlier WHERE earlier.series = NEW.series AND earlier.year = NEW.year AND earlier.sequence = NEW.sequence - 1)
  SAYING 'numbers are given one after the other';
REFUSE invoice_leaves_closed_periods UPDATE ON invoice
  WHEN ((OLD.issued_at IS NULL AND NEW.issued_at IS NOT NULL) OR (NEW.state = 'void' AND OLD.state <> 'void')) AND NEW.issued_at < (SELECT coalesce(max(until), 0) FROM closed_period)
  SAYING 'the period is closed';
REFUSE invoice_line_is_added_to_a_draft INSERT ON invoice_line
  WHEN EXISTS (SELECT 1 FROM invoice WHERE invoice.id = NEW.invoice AND invoice.issued_at IS NOT NULL)
  SAYING 'an issued invoice is not changed';
REFUSE invoice_line_stays_as_issued UPDATE ON invoice_line
  WHEN EXISTS (SELECT 1 FROM invoice WHERE invoice.id IN (OLD.invoice, NEW.invoice) AND invoice.issued_at IS NOT NULL)
  SAYING 'an issued invoice is not changed';
REFUSE invoice_line_is_kept DELETE ON invoice_line
  WHEN EXISTS (SELECT 1 FROM invoice WHERE invoice.id = OLD.invoice AND invoice.issued_at IS NOT NULL)
  SAYING 'an issued invoice is not changed';

-- What paid an invoice: of `amount`, `applied` paid it and the rest became the customer's credit.
CREATE TABLE invoice_payment (
  invoice TEXT NOT NULL,
  payment TEXT NOT NULL,
  amount BIGINT NOT NULL,
  applied BIGINT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT invoice_payment_pk PRIMARY KEY (invoice, payment),
  CONSTRAINT invoice_payment_invoice_fk FOREIGN KEY (invoice) REFERENCES invoice (id),
  CONSTRAINT invoice_payment_ck CHECK (amount >= 1 AND applied >= 0 AND applied <= amount)
) STRICT;
APPEND_ONLY invoice_payment;

CREATE TABLE credit_note (
  id TEXT NOT NULL,
  key TEXT NOT NULL,
  asked TEXT NOT NULL,
  invoice TEXT NOT NULL,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  series TEXT NOT NULL,
  year BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  number TEXT NOT NULL,
  issued_at BIGINT NOT NULL,
  reason TEXT NOT NULL,
  seller TEXT NOT NULL,
  buyer TEXT NOT NULL,
  adjustment BIGINT NOT NULL,
  subtotal BIGINT NOT NULL,
  tax BIGINT NOT NULL,
  tax_exactly TEXT NOT NULL,
  total BIGINT NOT NULL,
  canceled BIGINT NOT NULL,
  refund BIGINT NOT NULL,
  credit BIGINT NOT NULL,
  CONSTRAINT credit_note_pk PRIMARY KEY (id),
  CONSTRAINT credit_note_key_uq UNIQUE (key),
  CONSTRAINT credit_note_number_uq UNIQUE (number),
  CONSTRAINT credit_note_sequence_uq UNIQUE (series, year, sequence),
  CONSTRAINT credit_note_invoice_fk FOREIGN KEY (invoice) REFERENCES invoice (id),
  CONSTRAINT credit_note_series_fk FOREIGN KEY (series) REFERENCES document_series (series),
  CONSTRAINT credit_note_ck CHECK (subtotal + tax = total AND canceled + refund + credit = total AND canceled >= 0 AND refund >= 0 AND credit >= 0 AND total >= 0)
) STRICT;
CREATE INDEX credit_note_invoice_ix ON credit_note (invoice);
CREATE INDEX credit_note_customer_ix ON credit_note (customer, id);
APPEND_ONLY credit_note;
REFUSE credit_note_is_within_its_invoice INSERT ON credit_note
  WHEN NEW.total + (SELECT coalesce(sum(total), 0) FROM credit_note AS other WHERE other.invoice = NEW.invoice AND other.id <> NEW.id) > (SELECT total FROM invoice WHERE invoice.id = NEW.invoice)
  SAYING 'credit notes are at most their invoice';
REFUSE credit_note_has_the_next_number INSERT ON credit_note
  WHEN NEW.sequence <> 1 AND NOT EXISTS (SELECT 1 FROM credit_note AS earlier WHERE earlier.series = NEW.series AND earlier.year = NEW.year AND earlier.sequence = NEW.sequence - 1)
  SAYING 'numbers are given one after the other';
REFUSE credit_note_leaves_closed_periods INSERT ON credit_note
  WHEN NEW.issued_at < (SELECT coalesce(max(until), 0) FROM closed_period)
  SAYING 'the period is closed';

-- `amount` is before the line's discount, as a note says it.
CREATE TABLE credit_note_line (
  note TEXT NOT NULL,
  line BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  net BIGINT NOT NULL,
  tax BIGINT NOT NULL,
  taxes TEXT NOT NULL,
  undeferred BIGINT NOT NULL,
  CONSTRAINT credit_note_line_pk PRIMARY KEY (note, line),
  CONSTRAINT credit_note_line_note_fk FOREIGN KEY (note) REFERENCES credit_note (id),
  CONSTRAINT credit_note_line_ck CHECK (amount >= 1)
) STRICT;
APPEND_ONLY credit_note_line;

-- How much of what a line deferred is earned by now, and how much was taken back before it was.
CREATE TABLE recognition (
  invoice TEXT NOT NULL,
  line BIGINT NOT NULL,
  currency TEXT NOT NULL,
  deferred BIGINT NOT NULL,
  earned BIGINT NOT NULL,
  taken_back BIGINT NOT NULL,
  due_at BIGINT,
  CONSTRAINT recognition_pk PRIMARY KEY (invoice, line),
  CONSTRAINT recognition_line_fk FOREIGN KEY (invoice, line) REFERENCES invoice_line (invoice, line),
  CONSTRAINT recognition_ck CHECK (earned >= 0 AND taken_back >= 0 AND earned + taken_back <= deferred)
) STRICT;
CREATE INDEX recognition_due_ix ON recognition (due_at);

-- What a customer has of credit: from notes and overpayments, used by later invoices.
CREATE TABLE customer_credit (
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  balance BIGINT NOT NULL,
  CONSTRAINT customer_credit_pk PRIMARY KEY (customer, currency),
  CONSTRAINT customer_credit_ck CHECK (balance >= 0)
) STRICT;
CREATE TABLE customer_credit_entry (
  seq IDENTITY,
  customer TEXT NOT NULL,
  currency TEXT NOT NULL,
  amount BIGINT NOT NULL,
  invoice TEXT NOT NULL,
  note TEXT,
  payment TEXT,
  at BIGINT NOT NULL
) STRICT;
CREATE INDEX customer_credit_entry_customer_ix ON customer_credit_entry (customer, seq);
APPEND_ONLY customer_credit_entry;

-- What became of an invoice, and by whom.
CREATE TABLE invoice_history (
  seq IDENTITY,
  invoice TEXT NOT NULL,
  what TEXT NOT NULL,
  state TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT,
  amount BIGINT,
  reference TEXT,
  at BIGINT NOT NULL
) STRICT;
CREATE INDEX invoice_history_invoice_ix ON invoice_history (invoice, seq);
APPEND_ONLY invoice_history;

-- A document's files as they were first made: what was sent is what is downloaded ever after.
CREATE TABLE document_file (
  document TEXT NOT NULL,
  form TEXT NOT NULL,
  language TEXT NOT NULL,
  media TEXT NOT NULL,
  content BYTES NOT NULL,
  digest TEXT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT document_file_pk PRIMARY KEY (document, form, language),
  CONSTRAINT document_file_ck CHECK (form IN ('pdf', 'ubl', 'cii'))
) STRICT;
APPEND_ONLY document_file;

-- Documents to be made and handed over to notifications; a failed try says why, and is tried later.
CREATE TABLE document_delivery (
  document TEXT NOT NULL,
  invoice TEXT NOT NULL,
  due_at BIGINT,
  tries BIGINT NOT NULL,
  error TEXT,
  done_at BIGINT,
  CONSTRAINT document_delivery_pk PRIMARY KEY (document),
  CONSTRAINT document_delivery_invoice_fk FOREIGN KEY (invoice) REFERENCES invoice (id)
) STRICT;
CREATE INDEX document_delivery_due_ix ON document_delivery (due_at);
