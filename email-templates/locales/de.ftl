### Alle Texte, die ein Kunde auf Deutsch liest: E-Mails (mail-), Dokumente (document-) und beide (format-).
### Jede Sprache hat dieselben Schlüssel mit denselben Argumenten; ein Test vergleicht sie.

## Dokumente

document-invoice = Rechnung
# Nicht »Gutschrift«: Das ist nach § 14 Abs. 2 UStG die Abrechnung durch den Leistungsempfänger.
document-credit-note = Rechnungskorrektur
document-title = { $heading } { $number }
document-draft-mark = ENTWURF
document-void-mark = STORNIERT
document-status-open = OFFEN
document-status-closed = BEGLICHEN
document-number = Nummer
document-document-id = Dokument-ID
document-issued-on = Ausstellungsdatum
document-billing-period = Abrechnungszeitraum
document-provider = Anbieter
document-issuer = Aussteller
document-customer = Rechnungsempfänger
document-tax-id = USt-IdNr./Steuernr.
document-description = Beschreibung
document-category = Kategorie
document-charges = Einzelposten
document-net = Nettobetrag
document-subtotal = Zwischensumme
document-section-subtotal = Zwischensumme { $section }
document-tax = { $name } { $rate } auf { $base }
document-total = Gesamtbetrag
document-correction-of = Korrekturen für { $month }
document-page = Seite { $page } von { $pages }
document-continued = Fortsetzung von der vorherigen Seite
document-zero-lines = { $count ->
    [one] { $count_formatted } Zeile ohne Kosten ist nicht aufgeführt.
   *[other] { $count_formatted } Zeilen ohne Kosten sind nicht aufgeführt.
}
document-replaces = Ersetzt { $number }
document-exchange-rate = Wechselkurs: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Die Beträge sind zur Information in { $currency } angegeben. Dieses Dokument ist in { $invoice_currency } ausgestellt; die Gesamtsumme beträgt { $total }.
document-payment-terms = Zahlung wie vereinbart
document-custom-charges = Weitere Posten und Nachlässe
document-tax-exempt = Steuerfrei
document-tax-reverse-charge = Steuerschuldnerschaft des Leistungsempfängers (Reverse Charge)
document-tax-intra-community = Steuerfreie innergemeinschaftliche Lieferung oder Leistung
document-tax-export = Steuerfreie Ausfuhr in ein Drittland
document-tax-outside-scope = Nicht steuerbar

document-category-usage = Nutzung
document-category-purchase = Kauf
document-category-credit = Guthaben
document-category-adjustment = Anpassung
document-category-tax = Steuer

# Dateinamen: nur Kleinbuchstaben ohne Umlaute, Ziffern und Bindestriche.
document-file-name-invoice = rechnung
document-file-name-credit-note = rechnungskorrektur
document-file-name-detail = details

document-yes = Ja
document-no = Nein

document-column-number = Nummer
document-column-billing-period = Abrechnungszeitraum
document-column-currency = Währung
document-column-sub-account-id = Konto-ID
document-column-sub-account-name = Kontoname
document-column-description = Beschreibung
document-column-service-name = Dienst
document-column-service-category = Dienstkategorie
document-column-charge-category = Kategorie des Einzelpostens
document-column-is-correction = Korrektur
document-column-correction-of = Korrigierter Monat
document-column-charge-count = Einzelposten
document-column-charge-description = Beschreibung des Einzelpostens
document-column-charge-period-start = Beginn des Zeitraums
document-column-charge-period-end = Ende des Zeitraums
document-column-consumed-quantity = Menge
document-column-consumed-unit = Einheit
document-column-region-id = Region
document-column-resource-id = Ressourcen-ID
document-column-resource-name = Ressourcenname
document-column-sku-id = SKU
document-column-tags = Tags
document-column-price = Preis
document-column-net = Nettobetrag
document-column-tax = Steuern
document-column-remark = Bemerkungen

## E-Mails

mail-greeting = Guten Tag { $recipient_name },
mail-greeting-unnamed = Guten Tag,
mail-reason = Grund
mail-documents = { $count ->
    [one] Angehängtes Dokument
   *[other] Angehängte Dokumente
}
mail-links = { $count ->
    [one] Dokument zum Herunterladen
   *[other] Dokumente zum Herunterladen
}
mail-link-until = verfügbar bis zum { $date }
mail-signature = Mit freundlichen Grüßen
mail-footer = Diese Nachricht von { $reseller_name } an die Ansprechpartner für die Abrechnung bei { $customer_name } wurde automatisch versendet.
mail-contact = Fragen? Antworten Sie auf diese Nachricht oder schreiben Sie an { $contact }.
mail-download = { $kind ->
    [credit_note] Rechnungskorrektur herunterladen
   *[invoice] Rechnung herunterladen
}
mail-replaces = Ersetzt

mail-opened-subject = Rechnung { $number } von { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = Neue Rechnung
mail-opened-intro = Die Rechnung { $number } für { $customer_name } zu den Diensten von { $provider } (Abrechnungszeitraum: { $billing_period }) wurde ausgestellt.

mail-credit-note-subject = Rechnungskorrektur { $number } von { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = Neue Rechnungskorrektur
mail-credit-note-intro = Die Rechnungskorrektur { $number } für { $customer_name } zu den Diensten von { $provider } (Abrechnungszeitraum: { $billing_period }) wurde ausgestellt. Der Betrag ist zu Ihren Gunsten: Sie müssen nichts bezahlen.

mail-corrected-subject = { $kind ->
    [credit_note] Berichtigt: Rechnungskorrektur { $number } von { $reseller_name } ersetzt { $replaced_number }
   *[invoice] Berichtigt: Rechnung { $number } von { $reseller_name } ersetzt { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Berichtigte Rechnungskorrektur
   *[invoice] Berichtigte Rechnung
}
mail-corrected-intro = { $kind ->
    [credit_note] Der Beleg { $replaced_number } für { $customer_name } wurde storniert. An seine Stelle tritt die Rechnungskorrektur { $number }; bitte verwenden Sie nur diese.
   *[invoice] Der Beleg { $replaced_number } für { $customer_name } wurde storniert. An seine Stelle tritt die Rechnung { $number }; bitte bezahlen Sie nur diese.
}

mail-closed-subject = { $kind ->
    [credit_note] Beglichen: Rechnungskorrektur { $number } von { $reseller_name }
   *[invoice] Beglichen: Rechnung { $number } von { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Rechnungskorrektur beglichen
   *[invoice] Rechnung beglichen
}
mail-closed-intro = { $kind ->
    [credit_note] Die Rechnungskorrektur { $number } für { $customer_name } ist beglichen. Sie müssen nichts weiter unternehmen.
   *[invoice] Die Rechnung { $number } für { $customer_name } ist beglichen. Sie müssen nichts weiter unternehmen.
}

mail-voided-subject = { $kind ->
    [credit_note] Storniert: Rechnungskorrektur { $number } von { $reseller_name }
   *[invoice] Storniert: Rechnung { $number } von { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Rechnungskorrektur storniert
   *[invoice] Rechnung storniert
}
mail-voided-intro = { $kind ->
    [credit_note] Die Rechnungskorrektur { $number } für { $customer_name } wurde storniert und ist nicht mehr gültig.
   *[invoice] Die Rechnung { $number } für { $customer_name } wurde storniert und ist nicht mehr gültig. Bitte bezahlen Sie sie nicht.
}

mail-reopened-subject = { $kind ->
    [credit_note] Wieder offen: Rechnungskorrektur { $number } von { $reseller_name }
   *[invoice] Wieder offen: Rechnung { $number } von { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Rechnungskorrektur wieder offen
   *[invoice] Rechnung wieder offen
}
mail-reopened-intro = { $kind ->
    [credit_note] Die Rechnungskorrektur { $number } für { $customer_name }, die als beglichen galt, ist wieder offen. Inhalt und Beträge sind unverändert.
   *[invoice] Die Rechnung { $number } für { $customer_name }, die als beglichen galt, ist wieder offen. Inhalt und Beträge sind unverändert.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Dokumente zur Rechnungskorrektur { $number } von { $reseller_name }
   *[invoice] Dokumente zur Rechnung { $number } von { $reseller_name }
}
mail-documents-ready-title = Ihre Dokumente sind fertig
mail-documents-ready-intro = { $kind ->
    [credit_note] Hier sind die gewünschten Dokumente zur Rechnungskorrektur { $number } für { $customer_name }.
   *[invoice] Hier sind die gewünschten Dokumente zur Rechnung { $number } für { $customer_name }.
}

## Mails to operators

mail-operator-footer = Diese Nachricht wurde automatisch an die Betreiber von billrunner versendet.
mail-bill-run-finished-subject = Abrechnungslauf vollständig: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Abrechnungslauf vollständig
mail-bill-run-finished-intro = Der Abrechnungslauf für { $provider } ({ $billing_period }) ist beendet. Jeder Kunde hat eine Rechnung, und jede Gebühr ist zugeordnet.
mail-bill-run-needs-attention-subject = Abrechnungslauf braucht Aufmerksamkeit: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = Abrechnungslauf braucht Aufmerksamkeit
mail-bill-run-needs-attention-intro = Der Abrechnungslauf für { $provider } ({ $billing_period }) ist beendet, aber der Monat ist nicht vollständig. Zu erledigen ist:
mail-jobs-done = Erledigte Aufträge
mail-jobs-failed = Fehlgeschlagene Aufträge
mail-finding-missing-invoice = Kunden mit Gebühren und ohne Rechnung: Ursache beheben, dann denselben Lauf erneut starten
mail-finding-surplus-invoice = Rechnungen ohne Gebühren: Entwurf verwerfen oder Rechnung stornieren
mail-finding-stale-draft = Veraltete Entwürfe: denselben Lauf mit „replace“ erneut starten
mail-finding-unassigned-account = Konten ohne Kunden: zuordnen und denselben Lauf erneut starten, oder darauf verzichten
mail-finding-late-file = Rechnungen, die eine spätere Gebührendatei ändern würde: berichtigen, falls so abgerechnet werden soll
mail-finding-difference = Abweichende Summen: Gebühren abgleichen und bis dahin nichts aus diesem Monat öffnen
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } Auftrag braucht eine Entscheidung
   *[other] { $count_formatted } Aufträge brauchen eine Entscheidung
}
mail-dead-letters-title = Aufträge brauchen eine Entscheidung
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } Auftrag ist endgültig fehlgeschlagen. Wiederholen Sie ihn, sobald die Ursache behoben ist, oder verwerfen Sie ihn.
   *[other] { $count_formatted } Aufträge sind endgültig fehlgeschlagen. Wiederholen Sie sie, sobald die Ursache behoben ist, oder verwerfen Sie sie.
}
mail-newest-reasons = Neueste Gründe
mail-command = Alles zeigt: { $command }

## Beide

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB

# documents

document-notes = Hinweise
document-replaced-characters = Zeichen, die in der Schrift fehlen, erscheinen als �.
document-generated-on = Erstellt am
document-purchase-order = Bestellnummer
