using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GptFunctions.Mcp;

/// <summary>
/// Checks values against JSON Schema 2020-12 as far as <see cref="ToolSchemas"/> writes it: every assertion but <c>unevaluated*</c>; <c>format</c> is an
/// annotation (6.3 of the validation vocabulary). No library that does so restores everywhere.
/// </summary>
internal sealed partial class SchemaCheck
{
    private const int Deepest = 100;
    private static readonly TimeSpan PatternLimit = TimeSpan.FromMilliseconds(200);
    private readonly JsonElement root;
    private readonly Dictionary<string, Regex> patterns = new(StringComparer.Ordinal);

    /// <summary>Throws <see cref="ArgumentException"/> for a schema with a pattern that is none.</summary>
    public SchemaCheck(JsonElement root)
    {
        this.root = root;
        Prepare(root);
    }

    /// <summary>What is wrong with a value: the end of a sentence that begins with its path; null when it conforms.</summary>
    public string? ProblemWith(JsonElement value, string path) => Check(root, value, path, 0);

    /// <summary>What is wrong with the arguments of a tool, whose schema is that of an object.</summary>
    public string? ProblemWith(IDictionary<string, JsonElement> arguments)
    {
        var properties = root.GetProperty("properties");
        if (root.TryGetProperty("required", out var required))
        {
            foreach (var name in required.EnumerateArray())
            {
                if (!arguments.ContainsKey(name.GetString()!))
                {
                    return $"The argument {name.GetString()} is missing.";
                }
            }
        }

        foreach (var (name, value) in arguments)
        {
            var schema = properties.TryGetProperty(name, out var known) ? known : root.GetProperty("additionalProperties");
            if (schema.ValueKind == JsonValueKind.False)
            {
                var names = string.Join(", ", properties.EnumerateObject().Select(property => property.Name));
                return names.Length == 0 ? $"There is no argument {name}: this tool has none." : $"There is no argument {name}; there are {names}.";
            }

            if (Check(schema, value, name, 0) is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    private void Prepare(JsonElement schema)
    {
        if (schema.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in schema.EnumerateArray())
            {
                Prepare(item);
            }
        }
        else if (schema.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in schema.EnumerateObject())
            {
                if (member.Name == "pattern" && member.Value.ValueKind == JsonValueKind.String)
                {
                    Add(member.Value.GetString()!);
                }
                else if (member.Name == "patternProperties" && member.Value.ValueKind == JsonValueKind.Object)
                {
                    foreach (var property in member.Value.EnumerateObject())
                    {
                        Add(property.Name);
                    }
                }

                if (member.Name is not ("enum" or "const" or "default" or "examples"))
                {
                    Prepare(member.Value);
                }
            }
        }
    }

    private void Add(string pattern) => patterns[pattern] = new Regex(pattern, RegexOptions.CultureInvariant, PatternLimit);

    private string? Check(JsonElement schema, JsonElement value, string path, int depth) =>
        schema.ValueKind == JsonValueKind.False ? $"{path} must not be there."
        : schema.ValueKind != JsonValueKind.Object ? null
        : depth > Deepest ? $"{path} is nested too deeply."
        : Referred(schema, value, path, depth) ?? Kind(schema, value, path) ?? (value.ValueKind switch
        {
            JsonValueKind.String => Text(schema, value.GetString()!, path),
            JsonValueKind.Number => Number(schema, value.GetDouble(), path),
            JsonValueKind.Array => List(schema, value, path, depth),
            JsonValueKind.Object => Object(schema, value, path, depth),
            _ => null,
        }) ?? Combined(schema, value, path, depth);

    private string? Referred(JsonElement schema, JsonElement value, string path, int depth) =>
        schema.TryGetProperty("$ref", out var reference)
            ? Check(root.GetProperty("$defs").GetProperty(reference.GetString()!["#/$defs/".Length..]), value, path, depth + 1)
            : null;

    private static string? Kind(JsonElement schema, JsonElement value, string path)
    {
        if (schema.TryGetProperty("type", out var type))
        {
            string[] names = type.ValueKind == JsonValueKind.Array ? [.. type.EnumerateArray().Select(name => name.GetString()!)] : [type.GetString()!];
            if (!Array.Exists(names, name => Is(name, value)))
            {
                return $"{path} must be {string.Join(" or ", names.Select(Called))}.";
            }
        }

        if (schema.TryGetProperty("const", out var constant) && !JsonElement.DeepEquals(constant, value))
        {
            return $"{path} must be {constant.GetRawText()}.";
        }

        return schema.TryGetProperty("enum", out var values) && !values.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value))
            ? $"{path} must be one of {string.Join(", ", values.EnumerateArray().Select(one => one.GetRawText()))}."
            : null;
    }

    private static bool Is(string type, JsonElement value) => type switch
    {
        "string" => value.ValueKind == JsonValueKind.String,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && double.IsInteger(value.GetDouble()), // 1.0 is one (6.1.1)
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "array" => value.ValueKind == JsonValueKind.Array,
        "object" => value.ValueKind == JsonValueKind.Object,
        "null" => value.ValueKind == JsonValueKind.Null,
        _ => true,
    };

    private static string Called(string type) => type switch
    {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        _ => type,
    };

    private string? Text(JsonElement schema, string text, string path)
    {
        var length = text.EnumerateRunes().Count(); // 6.3.1: characters, not UTF-16 units
        if (Limit(schema, "minLength") is { } least && length < least)
        {
            return $"{path} must have at least {least} characters.";
        }

        if (Limit(schema, "maxLength") is { } most && length > most)
        {
            return $"{path} must have at most {most} characters.";
        }

        return schema.TryGetProperty("pattern", out var pattern) && !Matches(pattern.GetString()!, text) ? $"{path} must match {pattern.GetString()}." : null;
    }

    private bool Matches(string pattern, string text)
    {
        try
        {
            return patterns[pattern].IsMatch(text);
        }
        catch (RegexMatchTimeoutException)
        {
            return false; // whoever made such a text did not mean well
        }
    }

    private static string? Number(JsonElement schema, double number, string path) =>
        Limit(schema, "minimum") is { } least && number < least ? $"{path} must be at least {Said(least)}."
        : Limit(schema, "maximum") is { } most && number > most ? $"{path} must be at most {Said(most)}."
        : Limit(schema, "exclusiveMinimum") is { } above && number <= above ? $"{path} must be more than {Said(above)}."
        : Limit(schema, "exclusiveMaximum") is { } below && number >= below ? $"{path} must be less than {Said(below)}."
        : Limit(schema, "multipleOf") is { } step and > 0 && !IsMultiple(number, step) ? $"{path} must be a multiple of {Said(step)}."
        : null;

    private static bool IsMultiple(double number, double step) => Math.Abs((number / step) - Math.Round(number / step)) < 1e-9;

    private string? List(JsonElement schema, JsonElement value, string path, int depth)
    {
        var count = value.GetArrayLength();
        if (Limit(schema, "minItems") is { } least && count < least)
        {
            return $"{path} must have at least {Said(least)} items.";
        }

        if (Limit(schema, "maxItems") is { } most && count > most)
        {
            return $"{path} must have at most {Said(most)} items.";
        }

        var items = value.EnumerateArray().ToArray();
        if (schema.TryGetProperty("uniqueItems", out var unique) && unique.ValueKind == JsonValueKind.True
            && items.Where((item, index) => items.Take(index).Any(other => JsonElement.DeepEquals(other, item))).Any())
        {
            return $"{path} must not have the same item twice.";
        }

        JsonElement[] first = schema.TryGetProperty("prefixItems", out var prefix) ? [.. prefix.EnumerateArray()] : [];
        var hasRest = schema.TryGetProperty("items", out var rest);
        for (var index = 0; index < items.Length; index++)
        {
            var problem = index < first.Length ? Check(first[index], items[index], $"{path}[{index}]", depth + 1)
                : hasRest ? Check(rest, items[index], $"{path}[{index}]", depth + 1)
                : null;
            if (problem is not null)
            {
                return problem;
            }
        }

        if (!schema.TryGetProperty("contains", out var contained))
        {
            return null;
        }

        var fitting = items.Count(item => Check(contained, item, path, depth + 1) is null);
        return fitting < (Limit(schema, "minContains") ?? 1) || fitting > (Limit(schema, "maxContains") ?? double.MaxValue)
            ? $"{path} does not contain what it must." : null;
    }

    private string? Combined(JsonElement schema, JsonElement value, string path, int depth)
    {
        if (schema.TryGetProperty("allOf", out var all)
            && all.EnumerateArray().Select(one => Check(one, value, path, depth + 1)).FirstOrDefault(one => one is not null) is { } problem)
        {
            return problem;
        }

        if (schema.TryGetProperty("anyOf", out var any) && any.EnumerateArray().Select(one => Check(one, value, path, depth + 1)).ToArray() is var tried
            && !tried.Contains(null))
        {
            return tried.Length == 1 ? tried[0] : $"{path} is none of what it may be; for one of them: {tried.FirstOrDefault()}";
        }

        if (schema.TryGetProperty("oneOf", out var one) && one.EnumerateArray().Select(part => Check(part, value, path, depth + 1)).ToArray() is var parts
            && parts.Count(part => part is null) is var fitting and not 1)
        {
            return fitting == 0 ? $"{path} is none of what it may be; for one of them: {parts.FirstOrDefault()}"
                : $"{path} is more than one of what it may be.";
        }

        if (schema.TryGetProperty("not", out var not) && Check(not, value, path, depth + 1) is null)
        {
            return $"{path} is what it must not be.";
        }

        return schema.TryGetProperty("if", out var condition)
            && schema.TryGetProperty(Check(condition, value, path, depth + 1) is null ? "then" : "else", out var branch)
            ? Check(branch, value, path, depth + 1)
            : null;
    }

    private static double? Limit(JsonElement schema, string name) =>
        schema.TryGetProperty(name, out var limit) && limit.ValueKind == JsonValueKind.Number ? limit.GetDouble() : null;

    private static string Said(double number) => number.ToString(CultureInfo.InvariantCulture);
}
