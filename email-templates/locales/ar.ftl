### كل النصوص التي يقرؤها العميل بالعربية: الرسائل (mail-) والمستندات (document-) وكلاهما (format-).
### لكل لغة المفاتيح نفسها بالمعاملات نفسها، ويقارن بينها اختبار. لا حاجة إلى علامات الاتجاه: يضيفها البرنامج حول المعاملات.

## المستندات

document-invoice = فاتورة
document-credit-note = إشعار دائن
document-title = { $heading } { $number }
document-draft-mark = مسودة
document-void-mark = ملغى
document-status-open = مفتوحة
document-status-closed = مسددة
document-number = الرقم
document-document-id = معرف المستند
document-issued-on = تاريخ الإصدار
document-billing-period = فترة الفوترة
document-provider = مزود الخدمة
document-issuer = جهة الإصدار
document-customer = العميل
document-tax-id = الرقم الضريبي
document-description = الوصف
document-category = الفئة
document-charges = عدد الرسوم
document-net = المبلغ الصافي
document-subtotal = المجموع الفرعي
document-section-subtotal = المجموع الفرعي: { $section }
document-tax = { $name } { $rate } على { $base }
document-total = الإجمالي
document-correction-of = تصحيحات { $month }
document-page = صفحة { $page } من { $pages }
document-continued = تابع من الصفحة السابقة
document-zero-lines = { $count ->
    [zero] لم يستبعد أي بند.
    [one] استبعد بند واحد بلا تكلفة.
    [two] استبعد بندان بلا تكلفة.
    [few] استبعدت { $count_formatted } بنود بلا تكلفة.
    [many] استبعد { $count_formatted } بندًا بلا تكلفة.
   *[other] استبعد { $count_formatted } بند بلا تكلفة.
}
document-replaces = يحل محل { $number }
document-exchange-rate = سعر الصرف: 1 { $from } = { $rate } { $to } ({ $source }، { $date })
document-converted-view = المبالغ معروضة بعملة { $currency } للعلم فقط. صدر هذا المستند بعملة { $invoice_currency }، وإجماليه { $total }.
document-payment-terms = الدفع حسب الاتفاق
document-custom-charges = رسوم وخصومات أخرى
document-tax-exempt = معفى من الضريبة
document-tax-reverse-charge = الاحتساب العكسي: الضريبة مستحقة على العميل
document-tax-intra-community = معفى: توريد داخل الاتحاد الأوروبي
document-tax-export = معفى: تصدير إلى خارج الاتحاد الأوروبي
document-tax-outside-scope = خارج نطاق الضريبة

document-category-usage = استخدام
document-category-purchase = شراء
document-category-credit = رصيد دائن
document-category-adjustment = تعديل
document-category-tax = ضريبة

# أسماء الملفات: حروف لاتينية صغيرة وواصلات فقط.
document-file-name-invoice = fatura
document-file-name-credit-note = ishar-dain
document-file-name-detail = tafasil

document-yes = نعم
document-no = لا

document-column-number = الرقم
document-column-billing-period = فترة الفوترة
document-column-currency = العملة
document-column-sub-account-id = معرف الحساب
document-column-sub-account-name = اسم الحساب
document-column-description = الوصف
document-column-service-name = الخدمة
document-column-service-category = فئة الخدمة
document-column-charge-category = فئة الرسم
document-column-is-correction = تصحيح
document-column-correction-of = الشهر المصحح
document-column-charge-count = عدد الرسوم
document-column-charge-description = وصف الرسم
document-column-charge-period-start = بداية فترة الرسم
document-column-charge-period-end = نهاية فترة الرسم
document-column-consumed-quantity = الكمية
document-column-consumed-unit = الوحدة
document-column-region-id = المنطقة
document-column-resource-id = معرف المورد
document-column-resource-name = اسم المورد
document-column-sku-id = SKU
document-column-tags = الوسوم
document-column-price = السعر
document-column-net = المبلغ الصافي
document-column-tax = الضرائب
document-column-remark = ملاحظات

document-notes = ملاحظات
document-replaced-characters = تظهر الرموز غير الموجودة في الخط بالشكل �.
document-generated-on = تاريخ الإنشاء
document-purchase-order = أمر الشراء

## الرسائل

mail-greeting = مرحبًا { $recipient_name }،
mail-greeting-unnamed = تحية طيبة وبعد،
mail-reason = السبب
mail-documents = { $count ->
    [zero] لا مستندات مرفقة
    [one] المستند المرفق
    [two] المستندان المرفقان
    [few] المستندات المرفقة
    [many] المستندات المرفقة
   *[other] المستندات المرفقة
}
mail-links = { $count ->
    [zero] لا مستندات للتنزيل
    [one] مستند للتنزيل
    [two] مستندان للتنزيل
    [few] مستندات للتنزيل
    [many] مستندات للتنزيل
   *[other] مستندات للتنزيل
}
mail-link-until = متاح حتى { $date }
mail-signature = مع أطيب التحيات،
mail-footer = أرسلت هذه الرسالة تلقائيًا من { $reseller_name } إلى مسؤولي الفوترة لدى { $customer_name }.
mail-contact = هل لديكم أسئلة؟ يمكنكم الرد على هذه الرسالة أو الكتابة إلى { $contact }.
mail-download = { $kind ->
    [credit_note] تنزيل الإشعار الدائن
   *[invoice] تنزيل الفاتورة
}
mail-replaces = بدلًا من

mail-opened-subject = فاتورة { $number } من { $reseller_name }: { $provider }، { $billing_period }
mail-opened-title = فاتورة جديدة
mail-opened-intro = صدرت الفاتورة { $number } باسم { $customer_name } عن خدمات { $provider } (فترة الفوترة: { $billing_period }).

mail-credit-note-subject = إشعار دائن { $number } من { $reseller_name }: { $provider }، { $billing_period }
mail-credit-note-title = إشعار دائن جديد
mail-credit-note-intro = صدر الإشعار الدائن { $number } باسم { $customer_name } عن خدمات { $provider } (فترة الفوترة: { $billing_period }). المبلغ لصالحكم: لا يتعين عليكم دفع أي شيء.

mail-corrected-subject = { $kind ->
    [credit_note] تصحيح: إشعار دائن { $number } من { $reseller_name } يحل محل { $replaced_number }
   *[invoice] تصحيح: فاتورة { $number } من { $reseller_name } تحل محل { $replaced_number }
}
mail-corrected-title = { $kind ->
    [credit_note] إشعار دائن مصحح
   *[invoice] فاتورة مصححة
}
mail-corrected-intro = { $kind ->
    [credit_note] أُلغي المستند { $replaced_number } الصادر باسم { $customer_name }، وحل محله الإشعار الدائن { $number }؛ يرجى استخدامه وحده.
   *[invoice] أُلغي المستند { $replaced_number } الصادر باسم { $customer_name }، وحلت محله الفاتورة { $number }؛ يرجى دفعها وحدها.
}

mail-closed-subject = { $kind ->
    [credit_note] تمت التسوية: إشعار دائن { $number } من { $reseller_name }
   *[invoice] تمت التسوية: فاتورة { $number } من { $reseller_name }
}
mail-closed-title = { $kind ->
    [credit_note] تمت تسوية الإشعار الدائن
   *[invoice] تمت تسوية الفاتورة
}
mail-closed-intro = { $kind ->
    [credit_note] تمت تسوية الإشعار الدائن { $number } الصادر باسم { $customer_name }. لا يلزم اتخاذ أي إجراء آخر.
   *[invoice] تمت تسوية الفاتورة { $number } الصادرة باسم { $customer_name }. لا يلزم اتخاذ أي إجراء آخر.
}

mail-voided-subject = { $kind ->
    [credit_note] تم الإلغاء: إشعار دائن { $number } من { $reseller_name }
   *[invoice] تم الإلغاء: فاتورة { $number } من { $reseller_name }
}
mail-voided-title = { $kind ->
    [credit_note] تم إلغاء الإشعار الدائن
   *[invoice] تم إلغاء الفاتورة
}
mail-voided-intro = { $kind ->
    [credit_note] تم إلغاء الإشعار الدائن { $number } الصادر باسم { $customer_name } ولم يعد ساريًا.
   *[invoice] تم إلغاء الفاتورة { $number } الصادرة باسم { $customer_name } ولم تعد سارية. يرجى عدم سدادها.
}

mail-reopened-subject = { $kind ->
    [credit_note] أعيد الفتح: إشعار دائن { $number } من { $reseller_name }
   *[invoice] أعيد الفتح: فاتورة { $number } من { $reseller_name }
}
mail-reopened-title = { $kind ->
    [credit_note] أعيد فتح الإشعار الدائن
   *[invoice] أعيد فتح الفاتورة
}
mail-reopened-intro = { $kind ->
    [credit_note] أعيد فتح الإشعار الدائن { $number } الصادر باسم { $customer_name } بعد أن كان مسوى. لم يتغير محتواه ولا مبالغه.
   *[invoice] أعيد فتح الفاتورة { $number } الصادرة باسم { $customer_name } بعد أن كانت مسواة. لم يتغير محتواها ولا مبالغها.
}

mail-documents-ready-subject = { $kind ->
    [credit_note] مستندات إشعار دائن { $number } من { $reseller_name }
   *[invoice] مستندات فاتورة { $number } من { $reseller_name }
}
mail-documents-ready-title = مستنداتكم جاهزة
mail-documents-ready-intro = { $kind ->
    [credit_note] إليكم المستندات المطلوبة للإشعار الدائن { $number } الصادر باسم { $customer_name }.
   *[invoice] إليكم المستندات المطلوبة للفاتورة { $number } الصادرة باسم { $customer_name }.
}

## Mails to operators

mail-operator-footer = أُرسلت هذه الرسالة تلقائيًا إلى مشغّلي billrunner.
mail-bill-run-finished-subject = اكتملت دورة الفوترة: { $reseller_name }، { $provider }، { $billing_period }
mail-bill-run-finished-title = اكتملت دورة الفوترة
mail-bill-run-finished-intro = انتهت دورة الفوترة لخدمات { $provider } عن { $billing_period }. لكل عميل فاتورة، وجميع الرسوم محسوبة.
mail-bill-run-needs-attention-subject = دورة الفوترة تحتاج إلى انتباه: { $reseller_name }، { $provider }، { $billing_period }
mail-bill-run-needs-attention-title = دورة الفوترة تحتاج إلى انتباه
mail-bill-run-needs-attention-intro = انتهت دورة الفوترة لخدمات { $provider } عن { $billing_period }، لكن الشهر غير مكتمل. المتبقي:
mail-jobs-done = مهام منجزة
mail-jobs-failed = مهام فاشلة
mail-finding-missing-invoice = عملاء لديهم رسوم بلا فاتورة: عالجوا السبب ثم ابدؤوا الدورة نفسها من جديد
mail-finding-surplus-invoice = فواتير بلا رسوم: تخلصوا من المسودة أو ألغوا الفاتورة
mail-finding-stale-draft = مسودات قديمة: ابدؤوا الدورة نفسها من جديد مع «replace»
mail-finding-unassigned-account = حسابات بلا عميل: أسندوها وابدؤوا الدورة نفسها من جديد، أو تنازلوا عنها
mail-finding-late-file = فواتير يغيّرها ملف رسوم لاحق: صححوها إذا كان ينبغي فوترة العميل كذلك
mail-finding-difference = مجاميع غير متطابقة: طابقوا الرسوم ولا تفتحوا شيئًا من هذا الشهر حتى ذلك الحين
mail-dead-letters-subject = { $count ->
    [zero] لا مهام تحتاج إلى قرار ({ $count_formatted })
    [one] مهمة واحدة تحتاج إلى قرار ({ $count_formatted })
    [two] مهمتان تحتاجان إلى قرار ({ $count_formatted })
    [few] { $count_formatted } مهام تحتاج إلى قرار
    [many] { $count_formatted } مهمة تحتاج إلى قرار
   *[other] { $count_formatted } مهمة تحتاج إلى قرار
}
mail-dead-letters-title = مهام تحتاج إلى قرار
mail-dead-letters-intro = { $count ->
    [zero] لم تفشل أي مهمة ({ $count_formatted }).
    [one] فشلت مهمة واحدة نهائيًا ({ $count_formatted }). أعيدوا تشغيلها بعد معالجة السبب أو تخلصوا منها.
    [two] فشلت مهمتان نهائيًا ({ $count_formatted }). أعيدوا تشغيلهما بعد معالجة السبب أو تخلصوا منهما.
    [few] فشلت { $count_formatted } مهام نهائيًا. أعيدوا تشغيلها بعد معالجة السبب أو تخلصوا منها.
    [many] فشلت { $count_formatted } مهمة نهائيًا. أعيدوا تشغيلها بعد معالجة السبب أو تخلصوا منها.
   *[other] فشلت { $count_formatted } مهمة نهائيًا. أعيدوا تشغيلها بعد معالجة السبب أو تخلصوا منها.
}
mail-newest-reasons = أحدث الأسباب
mail-command = لعرض الكل: { $command }

## كلاهما

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } كيلوبايت
format-megabytes = { $size } ميغابايت
