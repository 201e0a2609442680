### Wszystkie teksty, które klient czyta po polsku: wiadomości (mail-), dokumenty (document-) i jedne, i drugie (format-).
### Każdy język ma te same klucze z tymi samymi argumentami; porównuje je test.

## Dokumenty

document-invoice = Faktura
document-credit-note = Faktura korygująca
document-title = { $heading } { $number }
document-draft-mark = WERSJA ROBOCZA
document-void-mark = ANULOWANO
document-status-open = OTWARTA
document-status-closed = ROZLICZONA
document-number = Numer
document-document-id = Identyfikator dokumentu
document-issued-on = Data wystawienia
document-billing-period = Okres rozliczeniowy
document-provider = Dostawca
document-issuer = Sprzedawca
document-customer = Nabywca
document-tax-id = Numer identyfikacji podatkowej
document-description = Opis
document-category = Kategoria
document-charges = Liczba opłat
document-net = Kwota netto
document-subtotal = Suma częściowa
document-section-subtotal = Suma częściowa: { $section }
document-tax = { $name } { $rate } od { $base }
document-total = Razem
document-correction-of = Korekty za { $month }
document-page = Strona { $page } z { $pages }
document-continued = Ciąg dalszy z poprzedniej strony
document-zero-lines = { $count ->
    [one] Pominięto { $count_formatted } pozycję bez kosztów.
    [few] Pominięto { $count_formatted } pozycje bez kosztów.
    [many] Pominięto { $count_formatted } pozycji bez kosztów.
   *[other] Pominięto { $count_formatted } pozycji bez kosztów.
}
document-replaces = Zastępuje { $number }
document-exchange-rate = Kurs wymiany: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Kwoty podano informacyjnie w walucie { $currency }. Dokument wystawiono w walucie { $invoice_currency }; kwota ogółem wynosi { $total }.
document-payment-terms = Płatność zgodnie z ustaleniami
document-custom-charges = Pozostałe opłaty i rabaty
document-tax-exempt = Zwolnione z podatku
# Art. 106e ust. 1 pkt 18 ustawy o VAT wymaga wyrazów „odwrotne obciążenie”.
document-tax-reverse-charge = Odwrotne obciążenie: podatek rozlicza nabywca
document-tax-intra-community = Zwolnione z podatku: dostawa wewnątrzwspólnotowa
document-tax-export = Zwolnione z podatku: eksport poza Unię Europejską
document-tax-outside-scope = Nie podlega opodatkowaniu

document-category-usage = Zużycie
document-category-purchase = Zakup
document-category-credit = Uznanie
document-category-adjustment = Korekta
document-category-tax = Podatek

# Nazwy plików: tylko małe litery bez znaków diakrytycznych, cyfry i łączniki.
document-file-name-invoice = faktura
document-file-name-credit-note = faktura-korygujaca
document-file-name-detail = szczegoly

document-yes = Tak
document-no = Nie

document-column-number = Numer
document-column-billing-period = Okres rozliczeniowy
document-column-currency = Waluta
document-column-sub-account-id = Identyfikator konta
document-column-sub-account-name = Nazwa konta
document-column-description = Opis
document-column-service-name = Usługa
document-column-service-category = Kategoria usługi
document-column-charge-category = Kategoria opłaty
document-column-is-correction = Korekta
document-column-correction-of = Korygowany miesiąc
document-column-charge-count = Liczba opłat
document-column-charge-description = Opis opłaty
document-column-charge-period-start = Początek okresu opłaty
document-column-charge-period-end = Koniec okresu opłaty
document-column-consumed-quantity = Ilość
document-column-consumed-unit = Jednostka
document-column-region-id = Region
document-column-resource-id = Identyfikator zasobu
document-column-resource-name = Nazwa zasobu
document-column-sku-id = SKU
document-column-tags = Znaczniki
document-column-price = Cena
document-column-net = Kwota netto
document-column-tax = Podatki
document-column-remark = Uwagi

document-notes = Uwagi
document-replaced-characters = Znaki, których brakuje w kroju pisma, są wyświetlane jako �.
document-generated-on = Data utworzenia
document-purchase-order = Numer zamówienia

## Wiadomości

mail-greeting = Dzień dobry, { $recipient_name },
mail-greeting-unnamed = Dzień dobry,
mail-reason = Powód
mail-documents = { $count ->
    [one] Załączony dokument
    [few] Załączone dokumenty
    [many] Załączone dokumenty
   *[other] Załączone dokumenty
}
mail-links = { $count ->
    [one] Dokument do pobrania
    [few] Dokumenty do pobrania
    [many] Dokumenty do pobrania
   *[other] Dokumenty do pobrania
}
mail-link-until = dostępne do { $date }
mail-signature = Z poważaniem
mail-footer = Tę wiadomość wysłano automatycznie w imieniu { $reseller_name } do osób odpowiedzialnych za rozliczenia w { $customer_name }.
mail-contact = Pytania? Prosimy odpowiedzieć na tę wiadomość lub napisać na adres { $contact }.
mail-download = { $kind ->
    [credit_note] Pobierz fakturę korygującą
   *[invoice] Pobierz fakturę
}
mail-replaces = Zastępuje

mail-opened-subject = Faktura { $number } od { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = Nowa faktura
mail-opened-intro = Wystawiono fakturę { $number } dla { $customer_name } za usługi { $provider } (okres rozliczeniowy: { $billing_period }).

mail-credit-note-subject = Faktura korygująca { $number } od { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = Nowa faktura korygująca
mail-credit-note-intro = Wystawiono fakturę korygującą { $number } dla { $customer_name } za usługi { $provider } (okres rozliczeniowy: { $billing_period }). Kwota jest na Państwa korzyść: nic nie trzeba płacić.

mail-corrected-subject = { $kind ->
    [credit_note] Poprawiono: faktura korygująca { $number } od { $reseller_name } zastępuje { $replaced_number }
   *[invoice] Poprawiono: faktura { $number } od { $reseller_name } zastępuje { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Poprawiona faktura korygująca
   *[invoice] Poprawiona faktura
}
mail-corrected-intro = { $kind ->
    [credit_note] Dokument { $replaced_number } dla { $customer_name } został anulowany. Zastępuje go faktura korygująca { $number }; prosimy używać tylko jej.
   *[invoice] Dokument { $replaced_number } dla { $customer_name } został anulowany. Zastępuje go faktura { $number }; prosimy opłacić tylko ją.
}

mail-closed-subject = { $kind ->
    [credit_note] Rozliczono: faktura korygująca { $number } od { $reseller_name }
   *[invoice] Rozliczono: faktura { $number } od { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Faktura korygująca rozliczona
   *[invoice] Faktura rozliczona
}
mail-closed-intro = { $kind ->
    [credit_note] Faktura korygująca { $number } dla { $customer_name } została rozliczona. Nie trzeba robić nic więcej.
   *[invoice] Faktura { $number } dla { $customer_name } została rozliczona. Nie trzeba robić nic więcej.
}

mail-voided-subject = { $kind ->
    [credit_note] Anulowano: faktura korygująca { $number } od { $reseller_name }
   *[invoice] Anulowano: faktura { $number } od { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Faktura korygująca anulowana
   *[invoice] Faktura anulowana
}
mail-voided-intro = { $kind ->
    [credit_note] Faktura korygująca { $number } dla { $customer_name } została anulowana i nie jest już ważna.
   *[invoice] Faktura { $number } dla { $customer_name } została anulowana i nie jest już ważna. Prosimy jej nie opłacać.
}

mail-reopened-subject = { $kind ->
    [credit_note] Ponownie otwarto: faktura korygująca { $number } od { $reseller_name }
   *[invoice] Ponownie otwarto: faktura { $number } od { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Faktura korygująca ponownie otwarta
   *[invoice] Faktura ponownie otwarta
}
mail-reopened-intro = { $kind ->
    [credit_note] Faktura korygująca { $number } dla { $customer_name }, oznaczona wcześniej jako rozliczona, jest ponownie otwarta. Jej treść i kwoty się nie zmieniły.
   *[invoice] Faktura { $number } dla { $customer_name }, oznaczona wcześniej jako rozliczona, jest ponownie otwarta. Jej treść i kwoty się nie zmieniły.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Dokumenty: faktura korygująca { $number } od { $reseller_name }
   *[invoice] Dokumenty: faktura { $number } od { $reseller_name }
}
mail-documents-ready-title = Państwa dokumenty są gotowe
mail-documents-ready-intro = { $kind ->
    [credit_note] Przesyłamy zamówione dokumenty: faktura korygująca { $number } dla { $customer_name }.
   *[invoice] Przesyłamy zamówione dokumenty: faktura { $number } dla { $customer_name }.
}

## Mails to operators

mail-operator-footer = Ta wiadomość została wysłana automatycznie do operatorów billrunner.
mail-bill-run-finished-subject = Rozliczenie kompletne: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Rozliczenie kompletne
mail-bill-run-finished-intro = Rozliczenie { $provider } za okres { $billing_period } zakończyło się. Każdy klient ma fakturę, a każda opłata jest ujęta.
mail-bill-run-needs-attention-subject = Rozliczenie wymaga uwagi: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = Rozliczenie wymaga uwagi
mail-bill-run-needs-attention-intro = Rozliczenie { $provider } za okres { $billing_period } zakończyło się, ale miesiąc nie jest kompletny. Do zrobienia pozostaje:
mail-jobs-done = Zadania wykonane
mail-jobs-failed = Zadania nieudane
mail-finding-missing-invoice = Klienci z opłatami i bez faktury: usuń przyczynę i uruchom to samo rozliczenie ponownie
mail-finding-surplus-invoice = Faktury bez opłat: odrzuć szkic albo anuluj fakturę
mail-finding-stale-draft = Nieaktualne szkice: uruchom to samo rozliczenie ponownie z „replace”
mail-finding-unassigned-account = Konta bez klienta: przypisz je i uruchom to samo rozliczenie ponownie albo zrezygnuj z nich
mail-finding-late-file = Faktury, które późniejszy plik opłat by zmienił: popraw je, jeśli tak ma być rozliczone
mail-finding-difference = Niezgodne sumy: uzgodnij opłaty i do tego czasu nie otwieraj niczego z tego miesiąca
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } zadanie wymaga decyzji
    [few] { $count_formatted } zadania wymagają decyzji
    [many] { $count_formatted } zadań wymaga decyzji
   *[other] { $count_formatted } zadania wymaga decyzji
}
mail-dead-letters-title = Zadania wymagają decyzji
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } zadanie ostatecznie się nie powiodło. Powtórz je po usunięciu przyczyny albo odrzuć.
    [few] { $count_formatted } zadania ostatecznie się nie powiodły. Powtórz je po usunięciu przyczyny albo odrzuć.
    [many] { $count_formatted } zadań ostatecznie się nie powiodło. Powtórz je po usunięciu przyczyny albo odrzuć.
   *[other] { $count_formatted } zadania ostatecznie się nie powiodło. Powtórz je po usunięciu przyczyny albo odrzuć.
}
mail-newest-reasons = Najnowsze przyczyny
mail-command = Wszystko pokaże: { $command }

## Jedne i drugie

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
