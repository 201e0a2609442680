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

mail-opened-subject = { $kind ->
    [credit_note] إشعار دائن { $number } من { $reseller_name }: { $provider }، { $billing_period }
   *[invoice] فاتورة { $number } من { $reseller_name }: { $provider }، { $billing_period }
}
mail-opened-title = { $kind ->
    [credit_note] إشعار دائن جديد
   *[invoice] فاتورة جديدة
}
mail-opened-intro = { $kind ->
    [credit_note] صدر الإشعار الدائن { $number } باسم { $customer_name } عن خدمات { $provider } (فترة الفوترة: { $billing_period }).
   *[invoice] صدرت الفاتورة { $number } باسم { $customer_name } عن خدمات { $provider } (فترة الفوترة: { $billing_period }).
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

## كلاهما

format-field = { $label }: { $value }
format-period = { $start } – { $end }
format-kilobytes = { $size } كيلوبايت
format-megabytes = { $size } ميغابايت
