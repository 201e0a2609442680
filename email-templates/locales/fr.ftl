### Tous les textes qu’un client lit en français : courriels (mail-), documents (document-) et les deux (format-).
### Chaque langue a les mêmes clés avec les mêmes arguments ; un test les compare.

## Documents

document-invoice = Facture
document-credit-note = Avoir
document-title = { $heading } { $number }
document-draft-mark = BROUILLON
document-void-mark = ANNULÉ
document-status-open = OUVERT
document-status-closed = SOLDÉ
document-number = Numéro
document-document-id = ID du document
document-issued-on = Date d’émission
document-billing-period = Période de facturation
document-provider = Fournisseur
document-issuer = Émetteur
document-customer = Client
document-tax-id = Identifiant fiscal
document-description = Désignation
document-category = Catégorie
document-charges = Frais
document-net = Montant net
document-subtotal = Sous-total
document-section-subtotal = Sous-total { $section }
document-tax = { $name } { $rate } sur { $base }
document-total = Total
document-correction-of = Corrections, { $month }
document-page = Page { $page } sur { $pages }
document-continued = Suite de la page précédente
document-zero-lines = { $count ->
    [one] { $count_formatted } ligne sans coût n’est pas affichée.
   *[other] { $count_formatted } lignes sans coût ne sont pas affichées.
}
document-replaces = Remplace { $number }
document-exchange-rate = Taux de change : 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Les montants sont affichés en { $currency } à titre indicatif. Ce document est émis en { $invoice_currency } ; son total est de { $total }.
document-payment-terms = Paiement selon les conditions convenues
document-custom-charges = Autres frais et remises
document-tax-exempt = Exonéré de taxe
document-tax-reverse-charge = Autoliquidation : la taxe est due par le client
document-tax-intra-community = Exonéré : livraison intracommunautaire
document-tax-export = Exonéré : exportation hors de l’Union européenne
document-tax-outside-scope = Non soumis à la taxe

document-category-usage = Utilisation
document-category-purchase = Achat
document-category-credit = Crédit
document-category-adjustment = Ajustement
document-category-tax = Taxe

# Noms de fichier : minuscules sans accent, chiffres et traits d’union seulement.
document-file-name-invoice = facture
document-file-name-credit-note = avoir
document-file-name-detail = detail

document-yes = Oui
document-no = Non

document-column-number = Numéro
document-column-billing-period = Période de facturation
document-column-currency = Devise
document-column-sub-account-id = ID du compte
document-column-sub-account-name = Nom du compte
document-column-description = Désignation
document-column-service-name = Service
document-column-service-category = Catégorie du service
document-column-charge-category = Catégorie de frais
document-column-is-correction = Correction
document-column-correction-of = Mois corrigé
document-column-charge-count = Lignes de frais
document-column-charge-description = Description des frais
document-column-charge-period-start = Début de la période
document-column-charge-period-end = Fin de la période
document-column-consumed-quantity = Quantité
document-column-consumed-unit = Unité
document-column-region-id = Région
document-column-resource-id = ID de la ressource
document-column-resource-name = Nom de la ressource
document-column-sku-id = SKU
document-column-tags = Étiquettes
document-column-price = Prix
document-column-net = Montant net
document-column-tax = Taxes
document-column-remark = Remarques

## Courriels

mail-greeting = Bonjour { $recipient_name },
mail-greeting-unnamed = Bonjour,
mail-reason = Motif
mail-documents = { $count ->
    [one] Document joint
   *[other] Documents joints
}
mail-links = { $count ->
    [one] Document à télécharger
   *[other] Documents à télécharger
}
mail-link-until = disponible jusqu’au { $date }
mail-signature = Cordialement,
mail-footer = Ce message de { $reseller_name } aux contacts de facturation de { $customer_name } a été envoyé automatiquement.
mail-contact = Une question ? Répondez à ce message ou écrivez à { $contact }.
mail-download = { $kind ->
    [credit_note] Télécharger l’avoir
   *[invoice] Télécharger la facture
}
mail-replaces = Remplace

mail-opened-subject = Facture { $number } de { $reseller_name } : { $provider }, { $billing_period }
mail-opened-title = Nouvelle facture
mail-opened-intro = La facture { $number } a été émise au nom de { $customer_name } pour { $provider } (période de facturation : { $billing_period }).

mail-credit-note-subject = Avoir { $number } de { $reseller_name } : { $provider }, { $billing_period }
mail-credit-note-title = Nouvel avoir
mail-credit-note-intro = L’avoir { $number } a été émis au nom de { $customer_name } pour { $provider } (période de facturation : { $billing_period }). Le montant est en votre faveur : vous n’avez rien à payer.

mail-corrected-subject = { $kind ->
    [credit_note] Avoir { $number } de { $reseller_name }, corrigé : il remplace { $replaced_number }
   *[invoice] Facture { $number } de { $reseller_name }, corrigée : elle remplace { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Avoir corrigé
   *[invoice] Facture corrigée
}
mail-corrected-intro = { $kind ->
    [credit_note] Le document { $replaced_number } au nom de { $customer_name } a été annulé. L’avoir { $number } le remplace ; veuillez n’utiliser que celui-ci.
   *[invoice] Le document { $replaced_number } au nom de { $customer_name } a été annulé. La facture { $number } le remplace ; veuillez ne payer que celle-ci.
}

mail-closed-subject = { $kind ->
    [credit_note] Soldé : avoir { $number } de { $reseller_name }
   *[invoice] Soldée : facture { $number } de { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Avoir soldé
   *[invoice] Facture soldée
}
mail-closed-intro = { $kind ->
    [credit_note] L’avoir { $number } de { $customer_name } est soldé. Vous n’avez rien d’autre à faire.
   *[invoice] La facture { $number } de { $customer_name } est soldée. Vous n’avez rien d’autre à faire.
}

mail-voided-subject = { $kind ->
    [credit_note] Annulé : avoir { $number } de { $reseller_name }
   *[invoice] Annulée : facture { $number } de { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Avoir annulé
   *[invoice] Facture annulée
}
mail-voided-intro = { $kind ->
    [credit_note] L’avoir { $number } de { $customer_name } a été annulé et n’est plus valable.
   *[invoice] La facture { $number } de { $customer_name } a été annulée et n’est plus valable. Merci de ne pas la payer.
}

mail-reopened-subject = { $kind ->
    [credit_note] De nouveau ouvert : avoir { $number } de { $reseller_name }
   *[invoice] De nouveau ouverte : facture { $number } de { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Avoir de nouveau ouvert
   *[invoice] Facture de nouveau ouverte
}
mail-reopened-intro = { $kind ->
    [credit_note] L’avoir { $number } de { $customer_name }, qui était soldé, est de nouveau ouvert. Son contenu et ses montants n’ont pas changé.
   *[invoice] La facture { $number } de { $customer_name }, qui était soldée, est de nouveau ouverte. Son contenu et ses montants n’ont pas changé.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Documents de l’avoir { $number } de { $reseller_name }
   *[invoice] Documents de la facture { $number } de { $reseller_name }
}
mail-documents-ready-title = Vos documents sont prêts
mail-documents-ready-intro = { $kind ->
    [credit_note] Voici les documents demandés de l’avoir { $number } au nom de { $customer_name }.
   *[invoice] Voici les documents demandés de la facture { $number } au nom de { $customer_name }.
}

## Mails to operators

mail-operator-footer = Ce message a été envoyé automatiquement aux opérateurs de billrunner.
mail-bill-run-finished-subject = Facturation complète : { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Facturation complète
mail-bill-run-finished-intro = La facturation de { $provider } pour { $billing_period } est terminée. Chaque client a sa facture et tous les frais sont pris en compte.
mail-bill-run-needs-attention-subject = La facturation demande votre attention : { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = La facturation demande votre attention
mail-bill-run-needs-attention-intro = La facturation de { $provider } pour { $billing_period } est terminée, mais le mois n’est pas complet. Il reste à faire :
mail-jobs-done = Tâches terminées
mail-jobs-failed = Tâches en échec
mail-finding-missing-invoice = Clients avec des frais et sans facture : corrigez la cause, puis relancez la même facturation
mail-finding-surplus-invoice = Factures sans frais : supprimez le brouillon ou annulez la facture
mail-finding-stale-draft = Brouillons périmés : relancez la même facturation avec « replace »
mail-finding-unassigned-account = Comptes sans client : attribuez-les et relancez la même facturation, ou renoncez-y
mail-finding-late-file = Factures qu’un fichier de frais ultérieur modifierait : corrigez-les s’il faut facturer ainsi
mail-finding-difference = Sommes divergentes : rapprochez les frais et n’ouvrez rien de ce mois d’ici là
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } tâche attend une décision
   *[other] { $count_formatted } tâches attendent une décision
}
mail-dead-letters-title = Des tâches attendent une décision
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } tâche a échoué définitivement. Relancez-la une fois la cause corrigée, ou abandonnez-la.
   *[other] { $count_formatted } tâches ont échoué définitivement. Relancez-les une fois la cause corrigée, ou abandonnez-les.
}
mail-newest-reasons = Raisons les plus récentes
mail-command = Pour tout voir : { $command }

## Les deux

format-field = { $label } : { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } ko
format-megabytes = { $size } Mo

# documents

document-notes = Remarques
document-replaced-characters = Les caractères absents de la police sont affichés sous la forme �.
document-generated-on = Générée le
document-purchase-order = Bon de commande
