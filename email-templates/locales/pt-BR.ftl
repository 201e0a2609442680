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
mail-contact = Dúvidas? Responda a esta mensagem ou escreva para { $contact }.
mail-download = { $kind ->
    [credit_note] Baixar a nota de crédito
   *[invoice] Baixar a fatura
}
mail-replaces = Substitui

mail-opened-subject = Fatura { $number } de { $reseller_name }: { $provider }, { $billing_period }
mail-opened-title = Nova fatura
mail-opened-intro = A fatura { $number } foi emitida em nome de { $customer_name } pelos serviços { $provider } (período de faturamento: { $billing_period }).

mail-credit-note-subject = Nota de crédito { $number } de { $reseller_name }: { $provider }, { $billing_period }
mail-credit-note-title = Nova nota de crédito
mail-credit-note-intro = A nota de crédito { $number } foi emitida em nome de { $customer_name } pelos serviços { $provider } (período de faturamento: { $billing_period }). O valor é a seu favor: não há nada a pagar.

mail-corrected-subject = { $kind ->
    [credit_note] Corrigida: a nota de crédito { $number } de { $reseller_name } substitui { $replaced_number }
   *[invoice] Corrigida: a fatura { $number } de { $reseller_name } substitui { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] Nota de crédito corrigida
   *[invoice] Fatura corrigida
}
mail-corrected-intro = { $kind ->
    [credit_note] O documento { $replaced_number } em nome de { $customer_name } foi cancelado. Em seu lugar vale a nota de crédito { $number }; use somente esta.
   *[invoice] O documento { $replaced_number } em nome de { $customer_name } foi cancelado. Em seu lugar vale a fatura { $number }; pague somente esta.
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

mail-documents-ready-subject = { $kind ->
    [credit_note] Documentos da nota de crédito { $number } de { $reseller_name }
   *[invoice] Documentos da fatura { $number } de { $reseller_name }
}
mail-documents-ready-title = Seus documentos estão prontos
mail-documents-ready-intro = { $kind ->
    [credit_note] Aqui estão os documentos solicitados da nota de crédito { $number } em nome de { $customer_name }.
   *[invoice] Aqui estão os documentos solicitados da fatura { $number } em nome de { $customer_name }.
}

## Mails to operators

mail-operator-footer = Esta mensagem foi enviada automaticamente aos operadores do billrunner.
mail-bill-run-finished-subject = Faturamento completo: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-finished-title = Faturamento completo
mail-bill-run-finished-intro = O faturamento de { $provider } de { $billing_period } terminou. Todo cliente tem uma fatura e todas as cobranças foram contabilizadas.
mail-bill-run-needs-attention-subject = O faturamento requer atenção: { $reseller_name }, { $provider }, { $billing_period }
mail-bill-run-needs-attention-title = O faturamento requer atenção
mail-bill-run-needs-attention-intro = O faturamento de { $provider } de { $billing_period } terminou, mas o mês não está completo. Falta fazer:
mail-jobs-done = Tarefas concluídas
mail-jobs-failed = Tarefas com falha
mail-finding-missing-invoice = Clientes com cobranças e sem fatura: corrija a causa e inicie o mesmo faturamento de novo
mail-finding-surplus-invoice = Faturas sem cobranças: descarte o rascunho ou cancele a fatura
mail-finding-stale-draft = Rascunhos desatualizados: inicie o mesmo faturamento de novo com “replace”
mail-finding-unassigned-account = Contas sem cliente: atribua-as e inicie o mesmo faturamento de novo, ou dispense-as
mail-finding-late-file = Faturas que um arquivo de cobranças posterior mudaria: corrija-as se for para faturar assim
mail-finding-difference = Somas divergentes: concilie as cobranças e não abra nada deste mês até lá
mail-dead-letters-subject = { $count ->
    [one] { $count_formatted } tarefa precisa de uma decisão
   *[other] { $count_formatted } tarefas precisam de uma decisão
}
mail-dead-letters-title = Tarefas precisam de uma decisão
mail-dead-letters-intro = { $count ->
    [one] { $count_formatted } tarefa falhou definitivamente. Repita-a quando a causa estiver corrigida, ou descarte-a.
   *[other] { $count_formatted } tarefas falharam definitivamente. Repita-as quando a causa estiver corrigida, ou descarte-as.
}
mail-newest-reasons = Motivos mais recentes
mail-command = Para ver tudo: { $command }

## Ambos

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
