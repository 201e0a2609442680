### Todos os textos que um cliente lê em português: e-mails (mail-), documentos (document-) e ambos (format-).
### Cada idioma tem as mesmas chaves com os mesmos argumentos; um teste os compara.

## Documentos

document-invoice = Fatura
document-credit-note = Nota de crédito
document-title = { $heading } { $number }
document-draft-mark = RASCUNHO
document-void-mark = CANCELADA
document-status-open = EM ABERTO
document-status-closed = LIQUIDADA
document-number = Número
document-document-id = ID do documento
document-issued-on = Data de emissão
document-billing-period = Período de faturamento
document-provider = Provedor
document-issuer = Emissor
document-customer = Cliente
document-tax-id = Identificação fiscal
document-description = Descrição
document-category = Categoria
document-charges = Cobranças
document-net = Valor líquido
document-subtotal = Subtotal
document-section-subtotal = Subtotal de { $section }
document-tax = { $name } { $rate } sobre { $base }
document-total = Total
document-correction-of = Correções de { $month }
document-page = Página { $page } de { $pages }
document-continued = Continuação da página anterior
document-zero-lines = { $count ->
    [one] { $count_formatted } linha sem custo foi omitida.
   *[other] { $count_formatted } linhas sem custo foram omitidas.
}
document-replaces = Substitui { $number }
document-exchange-rate = Taxa de câmbio: 1 { $from } = { $rate } { $to } ({ $source }, { $date })
document-converted-view = Os valores são exibidos em { $currency } apenas para informação. Este documento foi emitido em { $invoice_currency }; o total é de { $total }.
document-payment-terms = Pagamento conforme acordado
document-custom-charges = Outras cobranças e descontos
document-tax-exempt = Isento de imposto
# Em Portugal, o art. 36.º, n.º 13, do CIVA pede a palavra «autoliquidação».
document-tax-reverse-charge = Autoliquidação: o imposto é devido pelo cliente
document-tax-intra-community = Isento: transmissão intracomunitária
document-tax-export = Isento: exportação para fora da União Europeia
document-tax-outside-scope = Não sujeito a imposto

document-category-usage = Uso
document-category-purchase = Compra
document-category-credit = Crédito
document-category-adjustment = Ajuste
document-category-tax = Imposto

# Nomes de arquivo: só letras minúsculas sem acento, algarismos e hifens.
document-file-name-invoice = fatura
document-file-name-credit-note = nota-de-credito
document-file-name-detail = detalhe

document-yes = Sim
document-no = Não

document-column-number = Número
document-column-billing-period = Período de faturamento
document-column-currency = Moeda
document-column-sub-account-id = ID da conta
document-column-sub-account-name = Nome da conta
document-column-description = Descrição
document-column-service-name = Serviço
document-column-service-category = Categoria do serviço
document-column-charge-category = Categoria da cobrança
document-column-is-correction = Correção
document-column-correction-of = Mês corrigido
document-column-charge-count = Cobranças
document-column-charge-description = Descrição da cobrança
document-column-charge-period-start = Início do período da cobrança
document-column-charge-period-end = Fim do período da cobrança
document-column-consumed-quantity = Quantidade
document-column-consumed-unit = Unidade
document-column-region-id = Região
document-column-resource-id = ID do recurso
document-column-resource-name = Nome do recurso
document-column-sku-id = SKU
document-column-tags = Etiquetas
document-column-price = Preço
document-column-net = Valor líquido
document-column-tax = Impostos
document-column-remark = Observações

document-notes = Observações
document-replaced-characters = Os caracteres ausentes na fonte são exibidos como �.
document-generated-on = Data de geração
document-purchase-order = Pedido de compra

## E-mails

mail-greeting = Olá, { $recipient_name },
mail-greeting-unnamed = Olá,
mail-reason = Motivo
mail-documents = { $count ->
    [one] Documento anexo
   *[other] Documentos anexos
}
mail-links = { $count ->
    [one] Documento para baixar
   *[other] Documentos para baixar
}
mail-link-until = disponível até { $date }
mail-signature = Atenciosamente,
mail-footer = Esta mensagem de { $reseller_name } para os contatos de faturamento de { $customer_name } foi enviada automaticamente.

mail-opened-subject = { $kind ->
    [credit_note] Nota de crédito { $number } de { $reseller_name }: { $provider }, { $billing_period }
   *[invoice] Fatura { $number } de { $reseller_name }: { $provider }, { $billing_period }
}
mail-opened-title = { $kind ->
    [credit_note] Nova nota de crédito
   *[invoice] Nova fatura
}
mail-opened-intro = { $kind ->
    [credit_note] A nota de crédito { $number } foi emitida em nome de { $customer_name } pelos serviços { $provider } (período de faturamento: { $billing_period }).
   *[invoice] A fatura { $number } foi emitida em nome de { $customer_name } pelos serviços { $provider } (período de faturamento: { $billing_period }).
}

mail-closed-subject = { $kind ->
    [credit_note] Liquidada: nota de crédito { $number } de { $reseller_name }
   *[invoice] Liquidada: fatura { $number } de { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] Nota de crédito liquidada
   *[invoice] Fatura liquidada
}
mail-closed-intro = { $kind ->
    [credit_note] A nota de crédito { $number } de { $customer_name } foi liquidada. Não é necessário fazer mais nada.
   *[invoice] A fatura { $number } de { $customer_name } foi liquidada. Não é necessário fazer mais nada.
}

mail-voided-subject = { $kind ->
    [credit_note] Cancelada: nota de crédito { $number } de { $reseller_name }
   *[invoice] Cancelada: fatura { $number } de { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] Nota de crédito cancelada
   *[invoice] Fatura cancelada
}
mail-voided-intro = { $kind ->
    [credit_note] A nota de crédito { $number } de { $customer_name } foi cancelada e não é mais válida.
   *[invoice] A fatura { $number } de { $customer_name } foi cancelada e não é mais válida. Pedimos que não a pague.
}

mail-reopened-subject = { $kind ->
    [credit_note] Novamente em aberto: nota de crédito { $number } de { $reseller_name }
   *[invoice] Novamente em aberto: fatura { $number } de { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] Nota de crédito novamente em aberto
   *[invoice] Fatura novamente em aberto
}
mail-reopened-intro = { $kind ->
    [credit_note] A nota de crédito { $number } de { $customer_name }, que constava como liquidada, está novamente em aberto. O conteúdo e os valores não mudaram.
   *[invoice] A fatura { $number } de { $customer_name }, que constava como liquidada, está novamente em aberto. O conteúdo e os valores não mudaram.
}

## Ambos

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
