using System.Text.Json;

namespace GptFunctions.Mcp;

/// <content>Members of objects.</content>
internal sealed partial class SchemaCheck
{
    private string? Object(JsonElement schema, JsonElement value, string path, int depth)
    {
        var count = value.EnumerateObject().Count();
        if (Limit(schema, "minProperties") is { } least && count < least)
        {
            return $"{path} must have at least {Said(least)} members.";
        }

        if (Limit(schema, "maxProperties") is { } most && count > most)
        {
            return $"{path} must have at most {Said(most)} members.";
        }

        if (schema.TryGetProperty("required", out var required))
        {
            foreach (var name in required.EnumerateArray())
            {
                if (!value.TryGetProperty(name.GetString()!, out _))
                {
                    return $"{path}.{name.GetString()} is missing.";
                }
            }
        }

        foreach (var member in value.EnumerateObject())
        {
            if (Member(schema, member, $"{path}.{member.Name}", depth) is { } problem)
            {
                return problem;
            }
        }

        return Dependent(schema, value, path, depth);
    }

    private string? Member(JsonElement schema, JsonProperty member, string path, int depth)
    {
        var isKnown = false;
        if (schema.TryGetProperty("propertyNames", out var names)
            && Check(names, JsonSerializer.SerializeToElement(member.Name, McpJson.Default.String), path, depth + 1) is { } problem)
        {
            return problem;
        }

        if (schema.TryGetProperty("properties", out var properties) && properties.TryGetProperty(member.Name, out var known))
        {
            isKnown = true;
            if (Check(known, member.Value, path, depth + 1) is { } wrong)
            {
                return wrong;
            }
        }

        if (schema.TryGetProperty("patternProperties", out var byPattern))
        {
            foreach (var pattern in byPattern.EnumerateObject().Where(pattern => Matches(pattern.Name, member.Name)))
            {
                isKnown = true;
                if (Check(pattern.Value, member.Value, path, depth + 1) is { } wrong)
                {
                    return wrong;
                }
            }
        }

        return !isKnown && schema.TryGetProperty("additionalProperties", out var others) ? Check(others, member.Value, path, depth + 1) : null;
    }

    private string? Dependent(JsonElement schema, JsonElement value, string path, int depth)
    {
        if (schema.TryGetProperty("dependentRequired", out var dependent))
        {
            foreach (var name in dependent.EnumerateObject().Where(one => value.TryGetProperty(one.Name, out _)).SelectMany(one => one.Value.EnumerateArray()))
            {
                if (!value.TryGetProperty(name.GetString()!, out _))
                {
                    return $"{path}.{name.GetString()} is missing.";
                }
            }
        }

        return schema.TryGetProperty("dependentSchemas", out var schemas)
            ? schemas.EnumerateObject().Where(one => value.TryGetProperty(one.Name, out _)).Select(one => Check(one.Value, value, path, depth + 1))
                .FirstOrDefault(problem => problem is not null)
            : null;
    }
}
