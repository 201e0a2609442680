### お客様が日本語で読むすべての文言：メール（mail-）、文書（document-）、両方（format-）。
### どの言語にも同じ引数を持つ同じキーがあり、テストで照合する。

## 文書

document-invoice = 請求書
document-credit-note = クレジットノート
document-title = { $heading } { $number }
document-draft-mark = 下書き
document-void-mark = 無効
document-status-open = 未決済
document-status-closed = 決済済み
document-number = 番号
document-document-id = 文書ID
document-issued-on = 発行日
document-billing-period = 請求対象期間
document-provider = プロバイダー
document-issuer = 発行者
document-customer = 請求先
document-tax-id = 税務登録番号
document-description = 内容
document-category = 区分
document-charges = 明細数
document-net = 税抜金額
document-subtotal = 小計
document-section-subtotal = { $section } 小計
document-tax = { $name } { $rate }（対象額 { $base }）
document-total = 合計
document-correction-of = { $month }分の訂正
document-page = { $page } / { $pages } ページ
document-continued = 前ページからの続き
document-zero-lines = { $count ->
   *[other] 金額のない { $count_formatted } 行は省略しています。
}
document-replaces = { $number } に代わる文書です
document-exchange-rate = 為替レート：1 { $from } = { $rate } { $to }（{ $source }、{ $date }）
document-converted-view = 金額は参考として { $currency } で表示しています。この文書は { $invoice_currency } で発行されており、合計額は { $total } です。
document-payment-terms = お支払いはお取り決めのとおりです
document-custom-charges = その他の料金と割引
document-tax-exempt = 非課税
document-tax-reverse-charge = リバースチャージ方式：納税義務者はお客様です
document-tax-intra-community = 免税：EU域内取引
document-tax-export = 免税：EU域外への輸出
document-tax-outside-scope = 不課税

document-category-usage = 利用
document-category-purchase = 購入
document-category-credit = クレジット
document-category-adjustment = 調整
document-category-tax = 税

# ファイル名：英小文字とハイフンのみ。
document-file-name-invoice = seikyusho
document-file-name-credit-note = credit-note
document-file-name-detail = meisai

document-yes = はい
document-no = いいえ

document-column-number = 番号
document-column-billing-period = 請求対象期間
document-column-currency = 通貨
document-column-sub-account-id = アカウントID
document-column-sub-account-name = アカウント名
document-column-description = 内容
document-column-service-name = サービス
document-column-service-category = サービス区分
document-column-charge-category = 料金区分
document-column-is-correction = 訂正
document-column-correction-of = 訂正対象月
document-column-charge-count = 明細数
document-column-charge-description = 料金の内容
document-column-charge-period-start = 料金期間の開始
document-column-charge-period-end = 料金期間の終了
document-column-consumed-quantity = 数量
document-column-consumed-unit = 単位
document-column-region-id = リージョン
document-column-resource-id = リソースID
document-column-resource-name = リソース名
document-column-sku-id = SKU
document-column-tags = タグ
document-column-price = 価格
document-column-net = 税抜金額
document-column-tax = 税
document-column-remark = 備考

document-notes = 備考
document-replaced-characters = フォントにない文字は � と表示されます。
document-generated-on = 作成日
document-purchase-order = 発注番号

## メール

mail-greeting = { $recipient_name } 様
mail-greeting-unnamed = ご担当者様
mail-reason = 理由
mail-documents = { $count ->
   *[other] 添付書類
}
mail-links = { $count ->
   *[other] ダウンロードできる書類
}
mail-link-until = { $date }まで有効
mail-signature = よろしくお願いいたします。
mail-footer = このメールは { $reseller_name } から { $customer_name } の請求ご担当者様へ自動送信されています。

mail-opened-subject = { $kind ->
    [credit_note] クレジットノート { $number }（{ $reseller_name }）：{ $provider }、{ $billing_period }
   *[invoice] 請求書 { $number }（{ $reseller_name }）：{ $provider }、{ $billing_period }
}
mail-opened-title = { $kind ->
    [credit_note] クレジットノート発行のお知らせ
   *[invoice] 請求書発行のお知らせ
}
mail-opened-intro = { $kind ->
    [credit_note] { $customer_name } 様宛てに、{ $provider } のクレジットノート { $number }（請求対象期間：{ $billing_period }）を発行いたしました。
   *[invoice] { $customer_name } 様宛てに、{ $provider } の請求書 { $number }（請求対象期間：{ $billing_period }）を発行いたしました。
}

mail-closed-subject = { $kind ->
    [credit_note] 精算済み：クレジットノート { $number }（{ $reseller_name }）
   *[invoice] 精算済み：請求書 { $number }（{ $reseller_name }）
}
mail-closed-title = { $kind ->
    [credit_note] クレジットノート精算完了のお知らせ
   *[invoice] 請求書精算完了のお知らせ
}
mail-closed-intro = { $kind ->
    [credit_note] { $customer_name } 様宛てのクレジットノート { $number } は精算が完了しました。お手続きの必要はございません。
   *[invoice] { $customer_name } 様宛ての請求書 { $number } は精算が完了しました。お手続きの必要はございません。
}

mail-voided-subject = { $kind ->
    [credit_note] 取消：クレジットノート { $number }（{ $reseller_name }）
   *[invoice] 取消：請求書 { $number }（{ $reseller_name }）
}
mail-voided-title = { $kind ->
    [credit_note] クレジットノート取消のお知らせ
   *[invoice] 請求書取消のお知らせ
}
mail-voided-intro = { $kind ->
    [credit_note] { $customer_name } 様宛てのクレジットノート { $number } は取り消され、無効となりました。
   *[invoice] { $customer_name } 様宛ての請求書 { $number } は取り消され、無効となりました。お支払いにならないようお願いいたします。
}

mail-reopened-subject = { $kind ->
    [credit_note] 未精算に変更：クレジットノート { $number }（{ $reseller_name }）
   *[invoice] 未精算に変更：請求書 { $number }（{ $reseller_name }）
}
mail-reopened-title = { $kind ->
    [credit_note] クレジットノートが未精算に戻りました
   *[invoice] 請求書が未精算に戻りました
}
mail-reopened-intro = { $kind ->
    [credit_note] 精算済みとしておりました { $customer_name } 様宛てのクレジットノート { $number } は、再び未精算となりました。内容と金額に変更はございません。
   *[invoice] 精算済みとしておりました { $customer_name } 様宛ての請求書 { $number } は、再び未精算となりました。内容と金額に変更はございません。
}

## 両方

format-field = { $label }：{ $value }
format-period = { $start }～{ $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
