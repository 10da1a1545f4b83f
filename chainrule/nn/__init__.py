

from chainrule.nn import functional
