### Every text that a customer reads in English: mails (mail-), documents (document-) and both (format-).
### The same keys with the same arguments stand in each language; a test compares them.

## Documents

document-invoice = Invoice
document-credit-note = Credit note
document-title = { $heading } { $number }
document-draft-mark = DRAFT
document-void-mark = VOID
document-status-open = OPEN
document-status-closed = SETTLED
document-number = Number
document-document-id = Document ID
document-issued-on = Issue date
document-billing-period = Billing period
document-provider = Provider
document-issuer = Issued by
document-customer = Billed to
document-tax-id = Tax ID
document-description = Description
document-category = Category
document-charges = Charges
document-net = Net amount
document-subtotal = Subtotal
document-section-subtotal = Subtotal { $section }
document-tax = { $name } { $rate } on { $base }
document-total = Total
document-correction-of = Corrections for { $month }
document-page = Page { $page } of { $pages }
document-continued = Continued from the previous page
document-zero-lines = { $count ->
    [one] { $count_formatted } line without cost is left out.
   *[other] { $count_formatted } lines without cost are left out.
}
document-replaces = Replaces { $number }
document-exchange-rate = Exchange rate: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Amounts are shown in { $currency } for information. This document is issued in { $invoice_currency }; its total is { $total }.
document-payment-terms = Payment as agreed
document-custom-charges = Other charges and discounts
document-tax-exempt = Exempt from tax
document-tax-reverse-charge = Reverse charge: the customer owes the tax
document-tax-intra-community = Exempt: intra-community supply
document-tax-export = Exempt: export outside the European Union
document-tax-outside-scope = Not subject to tax

document-category-usage = Usage
document-category-purchase = Purchase
document-category-credit = Credit
document-category-adjustment = Adjustment
document-category-tax = Tax

# File names: lower-case letters, digits and hyphens only.
document-file-name-invoice = invoice
document-file-name-credit-note = credit-note
document-file-name-detail = detail

document-yes = Yes
document-no = No

document-column-number = Number
document-column-billing-period = Billing period
document-column-currency = Currency
document-column-sub-account-id = Account ID
document-column-sub-account-name = Account name
document-column-description = Description
document-column-service-name = Service
document-column-service-category = Service category
document-column-charge-category = Charge category
document-column-is-correction = Correction
document-column-correction-of = Corrected month
document-column-charge-count = Charges
document-column-charge-description = Charge description
document-column-charge-period-start = Charge period start
document-column-charge-period-end = Charge period end
document-column-consumed-quantity = Quantity
document-column-consumed-unit = Unit
document-column-region-id = Region
document-column-resource-id = Resource ID
document-column-resource-name = Resource name
document-column-sku-id = SKU
document-column-tags = Tags
document-column-price = Price
document-column-net = Net amount
document-column-tax = Tax
document-column-remark = Remarks

## Mails

mail-greeting = Dear { $recipient_name },
mail-greeting-unnamed = Hello,
mail-reason = Reason
mail-documents = { $count ->
    [one] Attached document
   *[other] Attached documents
}
mail-links = { $count ->
    [one] Document to download
   *[other] Documents to download
}
mail-link-until = available until { $date }
mail-signature = Kind regards,
mail-footer = This message from { $reseller_name } to the billing contacts of { $customer_name } was sent automatically.
mail-contact = Questions? Reply to this message or write to { $contact }.
mail-download = { $kind ->
    [credit_note] Download the credit note
   *[invoice] Download the invoice
}
mail-replaces = Replaces

mail-opened-subject = Invoice { $number } from { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = New invoice
mail-opened-intro = Invoice { $number } has been issued to { $customer_name } for { $provider } (billing period: { $billing_period }).

mail-credit-note-subject = Credit note { $number } from { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = New credit note
mail-credit-note-intro = Credit note { $number } has been issued to { $customer_name } for { $provider } (billing period: { $billing_period }). The amount is in your favour: there is nothing to pay.

mail-corrected-subject = { $kind ->
    [credit_note] Corrected: credit note { $number } from { $reseller_name } replaces { $replaced_number }
   *[invoice] Corrected: invoice { $number } from { $reseller_name } replaces { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Corrected credit note
   *[invoice] Corrected invoice
}
mail-corrected-intro = { $kind ->
    [credit_note] { $replaced_number } for { $customer_name } has been cancelled. Credit note { $number } takes its place; please use only this one.
   *[invoice] { $replaced_number } for { $customer_name } has been cancelled. Invoice { $number } takes its place; please pay only this one.
}

mail-closed-subject = { $kind ->
    [credit_note] Settled: credit note { $number } from { $reseller_name }
   *[invoice] Settled: invoice { $number } from { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Credit note settled
   *[invoice] Invoice settled
}
mail-closed-intro = { $kind ->
    [credit_note] Credit note { $number } for { $customer_name } has been settled. You do not need to do anything else.
   *[invoice] Invoice { $number } for { $customer_name } has been settled. You do not need to do anything else.
}

mail-voided-subject = { $kind ->
    [credit_note] Cancelled: credit note { $number } from { $reseller_name }
   *[invoice] Cancelled: invoice { $number } from { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Credit note cancelled
   *[invoice] Invoice cancelled
}
mail-voided-intro = { $kind ->
    [credit_note] Credit note { $number } for { $customer_name } has been cancelled and is no longer valid.
   *[invoice] Invoice { $number } for { $customer_name } has been cancelled and is no longer valid. Please do not pay it.
}

mail-reopened-subject = { $kind ->
    [credit_note] Open again: credit note { $number } from { $reseller_name }
   *[invoice] Open again: invoice { $number } from { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Credit note open again
   *[invoice] Invoice open again
}
mail-reopened-intro = { $kind ->
    [credit_note] Credit note { $number } for { $customer_name }, which had been settled, is open again. Its content and amounts have not changed.
   *[invoice] Invoice { $number } for { $customer_name }, which had been settled, is open again. Its content and amounts have not changed.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Documents of credit note { $number } from { $reseller_name }
   *[invoice] Documents of invoice { $number } from { $reseller_name }
}
mail-documents-ready-title = Your documents are ready
mail-documents-ready-intro = { $kind ->
    [credit_note] Here are the documents you asked for of credit note { $number } for { $customer_name }.
   *[invoice] Here are the documents you asked for of invoice { $number } for { $customer_name }.
}

## Mails to operators

mail-operator-footer = This message was sent automatically to the operators of billrunner.
mail-bill-run-finished-subject = Bill run complete: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Bill run complete
mail-bill-run-finished-intro = The bill run of { $provider } for { $billing_period } has finished. Every customer has an invoice, and every charge is accounted for.
mail-bill-run-needs-attention-subject = Bill run needs attention: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = Bill run needs attention
mail-bill-run-needs-attention-intro = The bill run of { $provider } for { $billing_period } has finished, but the month is not complete. This is left to do:
mail-jobs-done = Jobs done
mail-jobs-failed = Jobs failed
mail-finding-missing-invoice = Customers with charges and no invoice: mend what each failed for, then start the same run again
mail-finding-surplus-invoice = Invoices without charges: discard the draft, or void the invoice
mail-finding-stale-draft = Stale drafts: start the same run again with “replace”
mail-finding-unassigned-account = Accounts without a customer: assign them and start the same run again, or waive them
mail-finding-late-file = Invoices that a later charge file would change: correct them if the customer is to be billed so
mail-finding-difference = Sums that differ: reconcile the charges, and open nothing of this month until they agree
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } job needs a decision
   *[other] { $count_formatted } jobs need a decision
}
mail-dead-letters-title = Jobs need a decision
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } job has failed for good. Retry it once its cause is mended, or discard it.
   *[other] { $count_formatted } jobs have failed for good. Retry them once their cause is mended, or discard them.
}
mail-newest-reasons = Newest reasons
mail-command = To see all: { $command }

## Both

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB

# documents

document-notes = Notes
document-replaced-characters = Characters that the typeface lacks are shown as �.
document-generated-on = Generated on
document-purchase-order = Purchase order
