using System.Text.Json;
using GptFunctions.Mcp;

namespace GptFunctions.Tests.Mcp;

/// <summary>mcp.md 7: values are checked as JSON Schema 2020-12 says, and what is wrong is said with its place.</summary>
public sealed class SchemaCheckTests
{
    [Theory]
    [InlineData("""{"type":"string"}""", "\"a\"", null)]
    [InlineData("""{"type":["string","null"]}""", "null", null)]
    [InlineData("""{"type":["string","null"]}""", "7", "a must be a text or null.")]
    [InlineData("""{"type":"integer"}""", "1.0", null)]
    [InlineData("""{"type":"integer"}""", "1.5", "a must be a whole number.")]
    [InlineData("""{"type":"number","exclusiveMinimum":0}""", "0", "a must be more than 0.")]
    [InlineData("""{"type":"number","exclusiveMaximum":1}""", "1", "a must be less than 1.")]
    [InlineData("""{"minimum":2}""", "1", "a must be at least 2.")]
    [InlineData("""{"minimum":2}""", "\"x\"", null)]
    [InlineData("""{"multipleOf":0.1}""", "0.3", null)]
    [InlineData("""{"multipleOf":2}""", "3", "a must be a multiple of 2.")]
    [InlineData("""{"maxLength":2}""", "\"\uD83D\uDE00\uD83D\uDE00\"", null)]
    [InlineData("""{"maxLength":2}""", "\"abc\"", "a must have at most 2 characters.")]
    [InlineData("""{"minLength":1}""", "\"\"", "a must have at least 1 characters.")]
    [InlineData("""{"pattern":"^[a-z]+$"}""", "\"A\"", "a must match ^[a-z]+$.")]
    [InlineData("""{"pattern":"^(a+)+$"}""", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"", "a must match ^(a+)+$.")]
    [InlineData("""{"enum":["x",2]}""", "2.0", null)]
    [InlineData("""{"enum":["x",2]}""", "3", "a must be one of \"x\", 2.")]
    [InlineData("""{"const":"x"}""", "\"y\"", "a must be \"x\".")]
    [InlineData("""{"items":{"type":"string"},"minItems":1,"maxItems":2,"uniqueItems":true}""", "[\"a\",\"a\"]", "a must not have the same item twice.")]
    [InlineData("""{"items":{"type":"string"},"minItems":1}""", "[]", "a must have at least 1 items.")]
    [InlineData("""{"maxItems":1}""", "[1,2]", "a must have at most 1 items.")]
    [InlineData("""{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}""", "[\"a\",\"b\"]", "a[1] must be a whole number.")]
    [InlineData("""{"contains":{"const":1}}""", "[2]", "a does not contain what it must.")]
    [InlineData("""{"properties":{"b":{"properties":{"c":{"type":"string"}}}}}""", """{"b":{"c":1}}""", "a.b.c must be a text.")]
    [InlineData("""{"required":["b"]}""", "{}", "a.b is missing.")]
    [InlineData("""{"additionalProperties":false,"properties":{"b":{}}}""", """{"b":1,"c":2}""", "a.c must not be there.")]
    [InlineData("""{"patternProperties":{"^x":{"type":"string"}},"additionalProperties":false}""", """{"x1":1}""", "a.x1 must be a text.")]
    [InlineData("""{"propertyNames":{"maxLength":1}}""", """{"bc":1}""", "a.bc must have at most 1 characters.")]
    [InlineData("""{"minProperties":1}""", "{}", "a must have at least 1 members.")]
    [InlineData("""{"maxProperties":0}""", """{"b":1}""", "a must have at most 0 members.")]
    [InlineData("""{"dependentRequired":{"b":["c"]}}""", """{"b":1}""", "a.c is missing.")]
    [InlineData("""{"dependentSchemas":{"b":{"required":["c"]}}}""", """{"b":1}""", "a.c is missing.")]
    [InlineData("""{"allOf":[{"type":"string"},{"minLength":2}]}""", "\"x\"", "a must have at least 2 characters.")]
    [InlineData("""{"anyOf":[{"type":"string"},{"type":"null"}]}""", "1", "a is none of what it may be; for one of them: a must be a text.")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"minimum":2}]}""", "3", "a is more than one of what it may be.")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"string"}]}""", "3", null)]
    [InlineData("""{"not":{"type":"string"}}""", "\"x\"", "a is what it must not be.")]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"integer"}}""", "\"x\"", "a must have at least 2 characters.")]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"integer"}}""", "true", "a must be a whole number.")]
    [InlineData("""{"$ref":"#/$defs/T","$defs":{"T":{"properties":{"n":{"$ref":"#/$defs/T"}},"type":"object"}}}""", """{"n":{"n":1}}""",
        "a.n.n must be an object.")]
    [InlineData("true", "1", null)]
    [InlineData("false", "1", "a must not be there.")]
    public void Value_is_judged(string schema, string value, string? expected) =>
        Assert.Equal(expected, new SchemaCheck(JsonElement.Parse(schema)).ProblemWith(JsonElement.Parse(value), "a"));
}
