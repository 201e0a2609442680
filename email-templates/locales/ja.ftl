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
mail-contact = ご不明な点がございましたら、このメールにご返信いただくか、{ $contact } までご連絡ください。
mail-download = { $kind ->
    [credit_note] クレジットノートをダウンロード
   *[invoice] 請求書をダウンロード
}
mail-replaces = 差し替え元

mail-opened-subject = 請求書 { $number }（{ $reseller_name }）：{ $provider }、{ $billing_period }
mail-opened-title = 請求書発行のお知らせ
mail-opened-intro = { $customer_name } 様宛てに、{ $provider } の請求書 { $number }（請求対象期間：{ $billing_period }）を発行いたしました。

mail-credit-note-subject = クレジットノート { $number }（{ $reseller_name }）：{ $provider }、{ $billing_period }
mail-credit-note-title = クレジットノート発行のお知らせ
mail-credit-note-intro = { $customer_name } 様宛てに、{ $provider } のクレジットノート { $number }（請求対象期間：{ $billing_period }）を発行いたしました。金額は貴社への返金分であり、お支払いの必要はございません。

mail-corrected-subject = { $kind ->
    [credit_note] 訂正：クレジットノート { $number }（{ $reseller_name }）は { $replaced_number } に代わるものです
   *[invoice] 訂正：請求書 { $number }（{ $reseller_name }）は { $replaced_number } に代わるものです
}
mail-corrected-title = { $kind ->
    [credit_note] クレジットノート訂正のお知らせ
   *[invoice] 請求書訂正のお知らせ
}
mail-corrected-intro = { $kind ->
    [credit_note] { $customer_name } 様宛ての { $replaced_number } は取り消されました。代わりにクレジットノート { $number } を発行いたしましたので、こちらのみをご利用ください。
   *[invoice] { $customer_name } 様宛ての { $replaced_number } は取り消されました。代わりに請求書 { $number } を発行いたしましたので、こちらのみをお支払いください。
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

mail-documents-ready-subject = { $kind ->
    [credit_note] クレジットノート { $number }（{ $reseller_name }）の書類
   *[invoice] 請求書 { $number }（{ $reseller_name }）の書類
}
mail-documents-ready-title = 書類のご用意ができました
mail-documents-ready-intro = { $kind ->
    [credit_note] { $customer_name } 様宛てのクレジットノート { $number } について、ご依頼の書類をお送りいたします。
   *[invoice] { $customer_name } 様宛ての請求書 { $number } について、ご依頼の書類をお送りいたします。
}

## Mails to operators

mail-operator-footer = このメールは billrunner の運用担当者に自動で送信されました。
mail-bill-run-finished-subject = 請求処理完了：{ $reseller_name }、{ $provider }、{ $billing_period }
mail-bill-run-finished-title = 請求処理が完了しました
mail-bill-run-finished-intro = { $provider }（{ $billing_period }）の請求処理が終了しました。すべての顧客に請求書があり、すべての料金が反映されています。
mail-bill-run-needs-attention-subject = 請求処理の確認が必要です：{ $reseller_name }、{ $provider }、{ $billing_period }
mail-bill-run-needs-attention-title = 請求処理の確認が必要です
mail-bill-run-needs-attention-intro = { $provider }（{ $billing_period }）の請求処理は終了しましたが、この月はまだ完了していません。残りの作業：
mail-jobs-done = 完了したジョブ
mail-jobs-failed = 失敗したジョブ
mail-finding-missing-invoice = 料金があるのに請求書がない顧客：原因を取り除き、同じ請求処理を再度開始してください
mail-finding-surplus-invoice = 料金のない請求書：下書きを破棄するか、請求書を取り消してください
mail-finding-stale-draft = 古くなった下書き：「replace」を付けて同じ請求処理を再度開始してください
mail-finding-unassigned-account = 顧客のないアカウント：割り当てて同じ請求処理を再度開始するか、請求を免除してください
mail-finding-late-file = 後から届いた料金ファイルで変わる請求書：そのとおり請求する場合は訂正してください
mail-finding-difference = 一致しない合計：料金を照合し、一致するまでこの月の請求書を発行しないでください
mail-dead-letters-subject = { $count ->
   *[other] { $count_formatted } 件のジョブに判断が必要です
}
mail-dead-letters-title = ジョブに判断が必要です
mail-dead-letters-intro = { $count ->
   *[other] { $count_formatted } 件のジョブが最終的に失敗しました。原因を取り除いてから再試行するか、破棄してください。
}
mail-newest-reasons = 最新の理由
mail-command = 一覧を見るには：{ $command }

## 両方

format-field = { $label }：{ $value }
format-period = { $start }～{ $end }
format-kilobytes = { $size } kB
format-megabytes = { $size } MB
