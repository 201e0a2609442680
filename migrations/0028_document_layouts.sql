-- Which layout a document was rendered with. What an opened invoice's version has once is never rendered in another layout.
ALTER TABLE documents ADD COLUMN layout_version integer;
COMMENT ON COLUMN documents.layout_version IS 'of the kind''s layout (src/documents/layout.rs); NULL: rendered by a release before layouts had versions';
