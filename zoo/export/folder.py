class ExportedModel: pass
