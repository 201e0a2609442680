### Tutti i testi che un cliente legge in italiano: e-mail (mail-), documenti (document-) ed entrambi (format-).
### Ogni lingua ha le stesse chiavi con gli stessi argomenti; un test le confronta.

## Documenti

document-invoice = Fattura
document-credit-note = Nota di credito
document-title = { $heading } { $number }
document-draft-mark = BOZZA
document-void-mark = ANNULLATA
document-status-open = APERTA
document-status-closed = SALDATA
document-number = Numero
document-document-id = ID documento
document-issued-on = Data di emissione
document-billing-period = Periodo di fatturazione
document-provider = Fornitore
document-issuer = Emittente
document-customer = Cliente
document-tax-id = Identificativo fiscale
document-description = Descrizione
document-category = Categoria
document-charges = Addebiti
document-net = Importo netto
document-subtotal = Subtotale
document-section-subtotal = Subtotale { $section }
document-tax = { $name } { $rate } su { $base }
document-total = Totale
document-correction-of = Rettifiche di { $month }
document-page = Pagina { $page } di { $pages }
document-continued = Continua dalla pagina precedente
document-zero-lines = { $count ->
    [one] { $count_formatted } riga senza costi non è riportata.
   *[other] { $count_formatted } righe senza costi non sono riportate.
}
document-replaces = Sostituisce { $number }
document-exchange-rate = Tasso di cambio: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Gli importi sono espressi in { $currency } a titolo informativo. Il presente documento è emesso in { $invoice_currency }; il totale è pari a { $total }.
document-payment-terms = Pagamento come concordato
document-custom-charges = Altri addebiti e sconti
document-tax-exempt = Esente da imposta
# Art. 21, comma 6-bis, D.P.R. 633/1972 vuole le parole «inversione contabile».
document-tax-reverse-charge = Inversione contabile (reverse charge): l’imposta è dovuta dal cliente
document-tax-intra-community = Operazione non imponibile: cessione intracomunitaria
document-tax-export = Operazione non imponibile: esportazione fuori dall’Unione europea
document-tax-outside-scope = Operazione fuori campo di applicazione dell’imposta

document-category-usage = Utilizzo
document-category-purchase = Acquisto
document-category-credit = Credito
document-category-adjustment = Rettifica
document-category-tax = Imposta

# Nomi di file: solo lettere minuscole senza accenti, cifre e trattini.
document-file-name-invoice = fattura
document-file-name-credit-note = nota-di-credito
document-file-name-detail = dettaglio

document-yes = Sì
document-no = No

document-column-number = Numero
document-column-billing-period = Periodo di fatturazione
document-column-currency = Valuta
document-column-sub-account-id = ID account
document-column-sub-account-name = Nome account
document-column-description = Descrizione
document-column-service-name = Servizio
document-column-service-category = Categoria del servizio
document-column-charge-category = Categoria dell’addebito
document-column-is-correction = Rettifica
document-column-correction-of = Mese rettificato
document-column-charge-count = Addebiti
document-column-charge-description = Descrizione dell’addebito
document-column-charge-period-start = Inizio del periodo di addebito
document-column-charge-period-end = Fine del periodo di addebito
document-column-consumed-quantity = Quantità
document-column-consumed-unit = Unità
document-column-region-id = Area geografica
document-column-resource-id = ID risorsa
document-column-resource-name = Nome risorsa
document-column-sku-id = SKU
document-column-tags = Tag
document-column-price = Prezzo
document-column-net = Importo netto
document-column-tax = Imposte
document-column-remark = Osservazioni

document-notes = Note
document-replaced-characters = I caratteri assenti nel font sono mostrati come �.
document-generated-on = Data di generazione
document-purchase-order = Ordine di acquisto

## E-mail

mail-greeting = Gentile { $recipient_name },
mail-greeting-unnamed = Buongiorno,
mail-reason = Motivo
mail-documents = { $count ->
    [one] Documento allegato
   *[other] Documenti allegati
}
mail-links = { $count ->
    [one] Documento da scaricare
   *[other] Documenti da scaricare
}
mail-link-until = disponibile fino al { $date }
mail-signature = Cordiali saluti,
mail-footer = Questo messaggio di { $reseller_name } ai referenti per la fatturazione di { $customer_name } è stato inviato automaticamente.
mail-contact = Domande? Rispondete a questo messaggio o scrivete a { $contact }.
mail-download = { $kind ->
    [credit_note] Scarica la nota di credito
   *[invoice] Scarica la fattura
}
mail-replaces = Sostituisce

mail-opened-subject = Fattura { $number } di { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = Nuova fattura
mail-opened-intro = La fattura { $number } è stata emessa a nome di { $customer_name } per i servizi { $provider } (periodo di fatturazione: { $billing_period }).

mail-credit-note-subject = Nota di credito { $number } di { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = Nuova nota di credito
mail-credit-note-intro = La nota di credito { $number } è stata emessa a nome di { $customer_name } per i servizi { $provider } (periodo di fatturazione: { $billing_period }). L’importo è a vostro favore: non c’è nulla da pagare.

mail-corrected-subject = { $kind ->
    [credit_note] Corretta: la nota di credito { $number } di { $reseller_name } sostituisce { $replaced_number }
   *[invoice] Corretta: la fattura { $number } di { $reseller_name } sostituisce { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Nota di credito corretta
   *[invoice] Fattura corretta
}
mail-corrected-intro = { $kind ->
    [credit_note] Il documento { $replaced_number } a nome di { $customer_name } è stato annullato. Al suo posto vale la nota di credito { $number }; usate soltanto questa.
   *[invoice] Il documento { $replaced_number } a nome di { $customer_name } è stato annullato. Al suo posto vale la fattura { $number }; pagate soltanto questa.
}

mail-closed-subject = { $kind ->
    [credit_note] Saldata: nota di credito { $number } di { $reseller_name }
   *[invoice] Saldata: fattura { $number } di { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Nota di credito saldata
   *[invoice] Fattura saldata
}
mail-closed-intro = { $kind ->
    [credit_note] La nota di credito { $number } di { $customer_name } risulta saldata. Non è necessario fare altro.
   *[invoice] La fattura { $number } di { $customer_name } risulta saldata. Non è necessario fare altro.
}

mail-voided-subject = { $kind ->
    [credit_note] Annullata: nota di credito { $number } di { $reseller_name }
   *[invoice] Annullata: fattura { $number } di { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Nota di credito annullata
   *[invoice] Fattura annullata
}
mail-voided-intro = { $kind ->
    [credit_note] La nota di credito { $number } di { $customer_name } è stata annullata e non è più valida.
   *[invoice] La fattura { $number } di { $customer_name } è stata annullata e non è più valida. La preghiamo di non pagarla.
}

mail-reopened-subject = { $kind ->
    [credit_note] Di nuovo aperta: nota di credito { $number } di { $reseller_name }
   *[invoice] Di nuovo aperta: fattura { $number } di { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Nota di credito di nuovo aperta
   *[invoice] Fattura di nuovo aperta
}
mail-reopened-intro = { $kind ->
    [credit_note] La nota di credito { $number } di { $customer_name }, che risultava saldata, è di nuovo aperta. Il contenuto e gli importi non sono cambiati.
   *[invoice] La fattura { $number } di { $customer_name }, che risultava saldata, è di nuovo aperta. Il contenuto e gli importi non sono cambiati.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Documenti della nota di credito { $number } di { $reseller_name }
   *[invoice] Documenti della fattura { $number } di { $reseller_name }
}
mail-documents-ready-title = I vostri documenti sono pronti
mail-documents-ready-intro = { $kind ->
    [credit_note] Ecco i documenti richiesti della nota di credito { $number } a nome di { $customer_name }.
   *[invoice] Ecco i documenti richiesti della fattura { $number } a nome di { $customer_name }.
}

## Mails to operators

mail-operator-footer = Questo messaggio è stato inviato automaticamente agli operatori di billrunner.
mail-bill-run-finished-subject = Fatturazione completa: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Fatturazione completa
mail-bill-run-finished-intro = La fatturazione di { $provider } per { $billing_period } è terminata. Ogni cliente ha una fattura e ogni addebito è contabilizzato.
mail-bill-run-needs-attention-subject = La fatturazione richiede attenzione: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = La fatturazione richiede attenzione
mail-bill-run-needs-attention-intro = La fatturazione di { $provider } per { $billing_period } è terminata, ma il mese non è completo. Resta da fare:
mail-jobs-done = Attività completate
mail-jobs-failed = Attività non riuscite
mail-finding-missing-invoice = Clienti con addebiti e senza fattura: eliminate la causa e riavviate la stessa fatturazione
mail-finding-surplus-invoice = Fatture senza addebiti: scartate la bozza o annullate la fattura
mail-finding-stale-draft = Bozze superate: riavviate la stessa fatturazione con «replace»
mail-finding-unassigned-account = Account senza cliente: assegnateli e riavviate la stessa fatturazione, oppure rinunciatevi
mail-finding-late-file = Fatture che un file di addebiti successivo cambierebbe: correggetele se va fatturato così
mail-finding-difference = Somme che non coincidono: riconciliate gli addebiti e fino ad allora non aprite nulla di questo mese
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } attività richiede una decisione
   *[other] { $count_formatted } attività richiedono una decisione
}
mail-dead-letters-title = Attività che richiedono una decisione
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } attività è fallita definitivamente. Ripetetela quando la causa è eliminata, oppure scartatela.
   *[other] { $count_formatted } attività sono fallite definitivamente. Ripetetele quando la causa è eliminata, oppure scartatele.
}
mail-newest-reasons = Motivi più recenti
mail-command = Per vedere tutto: { $command }

## Entrambi

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
