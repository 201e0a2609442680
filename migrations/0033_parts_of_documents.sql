-- The parts of each document, as every question about documents asks of them; '[]' where there are none.
CREATE VIEW parts_of_documents AS
    SELECT document.reseller_id, document.id,
        coalesce((SELECT jsonb_agg(jsonb_build_object('file_name', part.file_name, 'location', part.location,
                         'sha256', encode(part.sha256, 'hex'), 'size_bytes', part.size_bytes,
                         'row_count', part.row_count) ORDER BY part.part)
                  FROM document_parts AS part
                  WHERE part.reseller_id = document.reseller_id AND part.document_id = document.id), '[]') AS parts
    FROM documents AS document;

GRANT SELECT ON parts_of_documents TO billrunner_app;
