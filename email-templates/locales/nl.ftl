### Alle teksten die een klant in het Nederlands leest: e-mails (mail-), documenten (document-) en beide (format-).
### Elke taal heeft dezelfde sleutels met dezelfde argumenten; een test vergelijkt ze.

## Documenten

document-invoice = Factuur
document-credit-note = Creditnota
document-title = { $heading } { $number }
document-draft-mark = CONCEPT
document-void-mark = GEANNULEERD
document-status-open = OPEN
document-status-closed = VOLDAAN
document-number = Nummer
document-document-id = Document-ID
document-issued-on = Factuurdatum
document-billing-period = Factuurperiode
document-provider = Provider
document-issuer = Leverancier
document-customer = Klant
document-tax-id = Btw-/fiscaal nummer
document-description = Omschrijving
document-category = Categorie
document-charges = Kostenposten
document-net = Nettobedrag
document-subtotal = Subtotaal
document-section-subtotal = Subtotaal { $section }
document-tax = { $name } { $rate } over { $base }
document-total = Totaal
document-correction-of = Correcties voor { $month }
document-page = Pagina { $page } van { $pages }
document-continued = Vervolg van de vorige pagina
document-zero-lines = { $count ->
    [one] { $count_formatted } regel zonder kosten is weggelaten.
   *[other] { $count_formatted } regels zonder kosten zijn weggelaten.
}
document-replaces = Vervangt { $number }
document-exchange-rate = Wisselkoers: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = De bedragen zijn ter informatie weergegeven in { $currency }. Dit document is opgesteld in { $invoice_currency }; het totaal bedraagt { $total }.
document-payment-terms = Betaling volgens afspraak
document-custom-charges = Overige kosten en kortingen
document-tax-exempt = Vrijgesteld van belasting
# Artikel 35a, lid 1, onder m, Wet op de omzetbelasting 1968: ‘btw verlegd’.
document-tax-reverse-charge = Btw verlegd: de klant is de belasting verschuldigd
document-tax-intra-community = Vrijgesteld: intracommunautaire levering
document-tax-export = Vrijgesteld: uitvoer buiten de Europese Unie
document-tax-outside-scope = Niet onderworpen aan belasting

document-category-usage = Verbruik
document-category-purchase = Aankoop
document-category-credit = Tegoed
document-category-adjustment = Aanpassing
document-category-tax = Belasting

# Bestandsnamen: alleen kleine letters zonder accenten, cijfers en koppeltekens.
document-file-name-invoice = factuur
document-file-name-credit-note = creditnota
document-file-name-detail = specificatie

document-yes = Ja
document-no = Nee

document-column-number = Nummer
document-column-billing-period = Factuurperiode
document-column-currency = Valuta
document-column-sub-account-id = Account-ID
document-column-sub-account-name = Accountnaam
document-column-description = Omschrijving
document-column-service-name = Dienst
document-column-service-category = Dienstcategorie
document-column-charge-category = Kostencategorie
document-column-is-correction = Correctie
document-column-correction-of = Gecorrigeerde maand
document-column-charge-count = Kostenposten
document-column-charge-description = Omschrijving van de kosten
document-column-charge-period-start = Begin van de periode
document-column-charge-period-end = Einde van de periode
document-column-consumed-quantity = Hoeveelheid
document-column-consumed-unit = Eenheid
document-column-region-id = Regio
document-column-resource-id = Resource-ID
document-column-resource-name = Resourcenaam
document-column-sku-id = SKU
document-column-tags = Tags
document-column-price = Prijs
document-column-net = Nettobedrag
document-column-tax = Belastingen
document-column-remark = Opmerkingen

document-notes = Opmerkingen
document-replaced-characters = Tekens die in het lettertype ontbreken, worden weergegeven als �.
document-generated-on = Aangemaakt op
document-purchase-order = Inkoopordernummer

## E-mails

mail-greeting = Beste { $recipient_name },
mail-greeting-unnamed = Goedendag,
mail-reason = Reden
mail-documents = { $count ->
    [one] Bijgevoegd document
   *[other] Bijgevoegde documenten
}
mail-links = { $count ->
    [one] Document om te downloaden
   *[other] Documenten om te downloaden
}
mail-link-until = beschikbaar tot en met { $date }
mail-signature = Met vriendelijke groet,
mail-footer = Dit bericht van { $reseller_name } aan de contactpersonen voor facturatie van { $customer_name } is automatisch verzonden.
mail-contact = Vragen? Beantwoord dit bericht of schrijf naar { $contact }.
mail-download = { $kind ->
    [credit_note] Creditnota downloaden
   *[invoice] Factuur downloaden
}
mail-replaces = Vervangt

mail-opened-subject = Factuur { $number } van { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = Nieuwe factuur
mail-opened-intro = Factuur { $number } is op naam van { $customer_name } opgesteld voor { $provider } (factuurperiode: { $billing_period }).

mail-credit-note-subject = Creditnota { $number } van { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = Nieuwe creditnota
mail-credit-note-intro = Creditnota { $number } is op naam van { $customer_name } opgesteld voor { $provider } (factuurperiode: { $billing_period }). Het bedrag is in uw voordeel: u hoeft niets te betalen.

mail-corrected-subject = { $kind ->
    [credit_note] Gecorrigeerd: creditnota { $number } van { $reseller_name } vervangt { $replaced_number }
   *[invoice] Gecorrigeerd: factuur { $number } van { $reseller_name } vervangt { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Gecorrigeerde creditnota
   *[invoice] Gecorrigeerde factuur
}
mail-corrected-intro = { $kind ->
    [credit_note] { $replaced_number } op naam van { $customer_name } is geannuleerd. Creditnota { $number } komt ervoor in de plaats; gebruik alleen deze.
   *[invoice] { $replaced_number } op naam van { $customer_name } is geannuleerd. Factuur { $number } komt ervoor in de plaats; betaal alleen deze.
}

mail-closed-subject = { $kind ->
    [credit_note] Voldaan: creditnota { $number } van { $reseller_name }
   *[invoice] Voldaan: factuur { $number } van { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Creditnota voldaan
   *[invoice] Factuur voldaan
}
mail-closed-intro = { $kind ->
    [credit_note] Creditnota { $number } voor { $customer_name } is voldaan. U hoeft verder niets te doen.
   *[invoice] Factuur { $number } voor { $customer_name } is voldaan. U hoeft verder niets te doen.
}

mail-voided-subject = { $kind ->
    [credit_note] Geannuleerd: creditnota { $number } van { $reseller_name }
   *[invoice] Geannuleerd: factuur { $number } van { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Creditnota geannuleerd
   *[invoice] Factuur geannuleerd
}
mail-voided-intro = { $kind ->
    [credit_note] Creditnota { $number } voor { $customer_name } is geannuleerd en niet langer geldig.
   *[invoice] Factuur { $number } voor { $customer_name } is geannuleerd en niet langer geldig. Wij verzoeken u deze niet te betalen.
}

mail-reopened-subject = { $kind ->
    [credit_note] Weer open: creditnota { $number } van { $reseller_name }
   *[invoice] Weer open: factuur { $number } van { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Creditnota weer open
   *[invoice] Factuur weer open
}
mail-reopened-intro = { $kind ->
    [credit_note] Creditnota { $number } voor { $customer_name }, die als voldaan stond geregistreerd, staat weer open. De inhoud en de bedragen zijn ongewijzigd.
   *[invoice] Factuur { $number } voor { $customer_name }, die als voldaan stond geregistreerd, staat weer open. De inhoud en de bedragen zijn ongewijzigd.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Documenten bij creditnota { $number } van { $reseller_name }
   *[invoice] Documenten bij factuur { $number } van { $reseller_name }
}
mail-documents-ready-title = Uw documenten staan klaar
mail-documents-ready-intro = { $kind ->
    [credit_note] Hier zijn de gevraagde documenten bij creditnota { $number } op naam van { $customer_name }.
   *[invoice] Hier zijn de gevraagde documenten bij factuur { $number } op naam van { $customer_name }.
}

## Mails to operators

mail-operator-footer = Dit bericht is automatisch verstuurd naar de beheerders van billrunner.
mail-bill-run-finished-subject = Factuurrun volledig: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Factuurrun volledig
mail-bill-run-finished-intro = De factuurrun van { $provider } voor { $billing_period } is klaar. Elke klant heeft een factuur en elke kostenpost is verantwoord.
mail-bill-run-needs-attention-subject = Factuurrun vraagt aandacht: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = Factuurrun vraagt aandacht
mail-bill-run-needs-attention-intro = De factuurrun van { $provider } voor { $billing_period } is klaar, maar de maand is niet volledig. Dit moet nog gebeuren:
mail-jobs-done = Taken voltooid
mail-jobs-failed = Taken mislukt
mail-finding-missing-invoice = Klanten met kosten en zonder factuur: verhelp de oorzaak en start dezelfde run opnieuw
mail-finding-surplus-invoice = Facturen zonder kosten: verwijder het concept of annuleer de factuur
mail-finding-stale-draft = Verouderde concepten: start dezelfde run opnieuw met ‘replace’
mail-finding-unassigned-account = Accounts zonder klant: wijs ze toe en start dezelfde run opnieuw, of zie ervan af
mail-finding-late-file = Facturen die een later kostenbestand zou wijzigen: corrigeer ze als zo gefactureerd moet worden
mail-finding-difference = Afwijkende sommen: vergelijk de kosten en open tot dan niets van deze maand
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } taak vraagt een beslissing
   *[other] { $count_formatted } taken vragen een beslissing
}
mail-dead-letters-title = Taken vragen een beslissing
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } taak is definitief mislukt. Herhaal die zodra de oorzaak is verholpen, of verwijder die.
   *[other] { $count_formatted } taken zijn definitief mislukt. Herhaal ze zodra de oorzaak is verholpen, of verwijder ze.
}
mail-newest-reasons = Nieuwste redenen
mail-command = Alles bekijken: { $command }

## Beide

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
