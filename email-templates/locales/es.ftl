### Todos los textos que un cliente lee en español: correos (mail-), documentos (document-) y ambos (format-).
### Cada idioma tiene las mismas claves con los mismos argumentos; una prueba los compara.

## Documentos

document-invoice = Factura
document-credit-note = Nota de crédito
document-title = { $heading } { $number }
document-draft-mark = BORRADOR
document-void-mark = ANULADA
document-status-open = ABIERTA
document-status-closed = SALDADA
document-number = Número
document-document-id = ID del documento
document-issued-on = Fecha de emisión
document-billing-period = Periodo de facturación
document-provider = Proveedor
document-issuer = Emisor
document-customer = Cliente
document-tax-id = Identificación fiscal
document-description = Concepto
document-category = Categoría
document-charges = Cargos
document-net = Importe neto
document-subtotal = Subtotal
document-section-subtotal = Subtotal de { $section }
document-tax = { $name } { $rate } sobre { $base }
document-total = Total
document-correction-of = Correcciones de { $month }
document-page = Página { $page } de { $pages }
document-continued = Continúa de la página anterior
document-zero-lines = { $count ->
    [one] Se omite { $count_formatted } línea sin coste.
   *[other] Se omiten { $count_formatted } líneas sin coste.
}
document-replaces = Sustituye a { $number }
document-exchange-rate = Tipo de cambio: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Los importes se muestran en { $currency } a título informativo. Este documento está emitido en { $invoice_currency }; su total es { $total }.
document-payment-terms = Pago según lo acordado
document-custom-charges = Otros cargos y descuentos
document-tax-exempt = Exento de impuestos
document-tax-reverse-charge = Inversión del sujeto pasivo: el cliente debe el impuesto
document-tax-intra-community = Exento: entrega intracomunitaria
document-tax-export = Exento: exportación fuera de la Unión Europea
document-tax-outside-scope = No sujeto a impuestos

document-category-usage = Consumo
document-category-purchase = Compra
document-category-credit = Crédito
document-category-adjustment = Ajuste
document-category-tax = Impuesto

# Nombres de archivo: solo minúsculas sin tilde, cifras y guiones.
document-file-name-invoice = factura
document-file-name-credit-note = nota-de-credito
document-file-name-detail = detalle

document-yes = Sí
document-no = No

document-column-number = Número
document-column-billing-period = Periodo de facturación
document-column-currency = Moneda
document-column-sub-account-id = ID de cuenta
document-column-sub-account-name = Nombre de la cuenta
document-column-description = Concepto
document-column-service-name = Servicio
document-column-service-category = Categoría del servicio
document-column-charge-category = Categoría del cargo
document-column-is-correction = Corrección
document-column-correction-of = Mes corregido
document-column-charge-count = Cargos
document-column-charge-description = Descripción del cargo
document-column-charge-period-start = Inicio del periodo del cargo
document-column-charge-period-end = Fin del periodo del cargo
document-column-consumed-quantity = Cantidad
document-column-consumed-unit = Unidad
document-column-region-id = Región
document-column-resource-id = ID del recurso
document-column-resource-name = Nombre del recurso
document-column-sku-id = SKU
document-column-tags = Etiquetas
document-column-price = Precio
document-column-net = Importe neto
document-column-tax = Impuestos
document-column-remark = Observaciones

## Correos

mail-greeting = Hola, { $recipient_name }:
mail-greeting-unnamed = Hola:
mail-reason = Motivo
mail-documents = { $count ->
    [one] Documento adjunto
   *[other] Documentos adjuntos
}
mail-links = { $count ->
    [one] Documento para descargar
   *[other] Documentos para descargar
}
mail-link-until = disponible hasta el { $date }
mail-signature = Atentamente,
mail-footer = Este mensaje de { $reseller_name } para los contactos de facturación de { $customer_name } se ha enviado de forma automática.
mail-contact = ¿Tiene alguna pregunta? Responda a este mensaje o escriba a { $contact }.
mail-download = { $kind ->
    [credit_note] Descargar la nota de crédito
   *[invoice] Descargar la factura
}
mail-replaces = Sustituye a

mail-opened-subject = Factura { $number } de { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = Nueva factura
mail-opened-intro = Se ha emitido la factura { $number } a nombre de { $customer_name } por los servicios de { $provider } (periodo de facturación: { $billing_period }).

mail-credit-note-subject = Nota de crédito { $number } de { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = Nueva nota de crédito
mail-credit-note-intro = Se ha emitido la nota de crédito { $number } a nombre de { $customer_name } por los servicios de { $provider } (periodo de facturación: { $billing_period }). El importe es a su favor: no tiene que pagar nada.

mail-corrected-subject = { $kind ->
    [credit_note] Corregida: la nota de crédito { $number } de { $reseller_name } sustituye a { $replaced_number }
   *[invoice] Corregida: la factura { $number } de { $reseller_name } sustituye a { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Nota de crédito corregida
   *[invoice] Factura corregida
}
mail-corrected-intro = { $kind ->
    [credit_note] Se ha anulado el documento { $replaced_number } de { $customer_name }. En su lugar queda la nota de crédito { $number }; utilice solo esta.
   *[invoice] Se ha anulado el documento { $replaced_number } de { $customer_name }. En su lugar queda la factura { $number }; pague solo esta.
}

mail-closed-subject = { $kind ->
    [credit_note] Saldada: nota de crédito { $number } de { $reseller_name }
   *[invoice] Saldada: factura { $number } de { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Nota de crédito saldada
   *[invoice] Factura saldada
}
mail-closed-intro = { $kind ->
    [credit_note] La nota de crédito { $number } de { $customer_name } ha quedado saldada. No tiene que hacer nada más.
   *[invoice] La factura { $number } de { $customer_name } ha quedado saldada. No tiene que hacer nada más.
}

mail-voided-subject = { $kind ->
    [credit_note] Anulada: nota de crédito { $number } de { $reseller_name }
   *[invoice] Anulada: factura { $number } de { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Nota de crédito anulada
   *[invoice] Factura anulada
}
mail-voided-intro = { $kind ->
    [credit_note] La nota de crédito { $number } de { $customer_name } se ha anulado y ya no es válida.
   *[invoice] La factura { $number } de { $customer_name } se ha anulado y ya no es válida. Le rogamos que no la pague.
}

mail-reopened-subject = { $kind ->
    [credit_note] Abierta de nuevo: nota de crédito { $number } de { $reseller_name }
   *[invoice] Abierta de nuevo: factura { $number } de { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Nota de crédito abierta de nuevo
   *[invoice] Factura abierta de nuevo
}
mail-reopened-intro = { $kind ->
    [credit_note] La nota de crédito { $number } de { $customer_name }, que figuraba como saldada, vuelve a estar abierta. Su contenido y sus importes no han cambiado.
   *[invoice] La factura { $number } de { $customer_name }, que figuraba como saldada, vuelve a estar abierta. Su contenido y sus importes no han cambiado.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] Documentos de la nota de crédito { $number } de { $reseller_name }
   *[invoice] Documentos de la factura { $number } de { $reseller_name }
}
mail-documents-ready-title = Sus documentos están listos
mail-documents-ready-intro = { $kind ->
    [credit_note] Aquí tiene los documentos que pidió de la nota de crédito { $number } de { $customer_name }.
   *[invoice] Aquí tiene los documentos que pidió de la factura { $number } de { $customer_name }.
}

## Mails to operators

mail-operator-footer = Este mensaje se ha enviado de forma automática a los operadores de billrunner.
mail-bill-run-finished-subject = Facturación completa: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Facturación completa
mail-bill-run-finished-intro = Ha terminado la facturación de { $provider } de { $billing_period }. Todos los clientes tienen factura y todos los cargos cuadran.
mail-bill-run-needs-attention-subject = La facturación requiere atención: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = La facturación requiere atención
mail-bill-run-needs-attention-intro = Ha terminado la facturación de { $provider } de { $billing_period }, pero el mes no está completo. Queda por hacer:
mail-jobs-done = Tareas terminadas
mail-jobs-failed = Tareas fallidas
mail-finding-missing-invoice = Clientes con cargos y sin factura: corrija la causa y vuelva a iniciar la misma facturación
mail-finding-surplus-invoice = Facturas sin cargos: descarte el borrador o anule la factura
mail-finding-stale-draft = Borradores obsoletos: vuelva a iniciar la misma facturación con «replace»
mail-finding-unassigned-account = Cuentas sin cliente: asígnelas y vuelva a iniciar la misma facturación, o renuncie a ellas
mail-finding-late-file = Facturas que un archivo de cargos posterior cambiaría: corríjalas si se debe facturar así
mail-finding-difference = Sumas que no cuadran: concilie los cargos y no abra nada de este mes hasta que cuadren
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } tarea necesita una decisión
   *[other] { $count_formatted } tareas necesitan una decisión
}
mail-dead-letters-title = Hay tareas que necesitan una decisión
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } tarea ha fallado definitivamente. Repítala cuando la causa esté corregida, o descártela.
   *[other] { $count_formatted } tareas han fallado definitivamente. Repítalas cuando la causa esté corregida, o descártelas.
}
mail-newest-reasons = Motivos más recientes
mail-command = Para verlo todo: { $command }

## Ambos

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB

# documents

document-notes = Notas
document-replaced-characters = Los caracteres que la tipografía no contiene se muestran como �.
document-generated-on = Fecha de generación
document-purchase-order = Pedido de compra
