it("x", function() assert(require"libws") end)
