"""fastmml as a part of other libraries; each module is loaded by the library it is for."""
