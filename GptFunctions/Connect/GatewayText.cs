using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace GptFunctions.Connect;

/// <summary>The text of a gateway.json that people edit: what is not to be changed stays as it is, comments and line breaks included.</summary>
internal static class GatewayText
{
    private static readonly JsonDocumentOptions Options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>The whole file for an API that has none yet.</summary>
    public static string Begin(string openApiFile, string name, string title, string? instructions) => $$"""
        // Written by 'make connect' and yours to edit: what you change stays when you run it again. Each key is explained in infra/config/gateway.json.
        {
          "openapi": {{NewRoute.Quote(openApiFile)}},
          "mcp": {
            "path": "/gpt/mcp",
            "name": {{NewRoute.Quote(name)}},
            "title": {{NewRoute.Quote(title)}},{{(instructions is null ? "" : $"\n    \"instructions\": {NewRoute.Quote(instructions)},")}}
            "profileTool": true
          },
          "routes": []
        }

        """;

    /// <summary>Takes routes out, by name.</summary>
    public static string Remove(string text, IReadOnlyCollection<string> names)
    {
        foreach (var name in names)
        {
            var json = Encoding.UTF8.GetBytes(text);
            using var document = JsonDocument.Parse(json, Options);
            var (start, end) = PlaceOf(document.RootElement.GetProperty("routes").EnumerateArray().Single(route => NameOf(route) == name), json);
            var next = SkipSpace(json, end);
            if (next < json.Length && json[next] == ',')
            {
                end = next + 1;
            }

            while (start > 0 && json[start - 1] is (byte)' ' or (byte)'\t')
            {
                start--;
            }

            if (end < json.Length && json[end] == '\n')
            {
                end++;
            }

            text = Encoding.UTF8.GetString(json.AsSpan(0, start)) + Encoding.UTF8.GetString(json.AsSpan(end));
        }

        return text;
    }

    /// <summary>Puts routes behind those that are there.</summary>
    /// <param name="routes">As <see cref="NewRoute.Write"/> writes them.</param>
    public static string Append(string text, IReadOnlyList<string> routes)
    {
        if (routes.Count == 0)
        {
            return text;
        }

        var json = Encoding.UTF8.GetBytes(text);
        using var document = JsonDocument.Parse(json, Options);
        var list = document.RootElement.GetProperty("routes");
        var added = string.Join(",\n", routes);
        if (list.GetArrayLength() == 0)
        {
            var begin = PlaceOf(list, json).Start + 1;
            var rest = json.AsSpan(begin);
            var closing = rest.IndexOf((byte)']') == 0 ? "\n  " : "";
            return $"{Encoding.UTF8.GetString(json.AsSpan(0, begin))}\n{added}{closing}{Encoding.UTF8.GetString(rest)}";
        }

        var end = PlaceOf(list[list.GetArrayLength() - 1], json).End;
        return $"{Encoding.UTF8.GetString(json.AsSpan(0, end))},\n{added}{Encoding.UTF8.GetString(json.AsSpan(end))}";
    }

    /// <summary>Gives these routes another upstream.</summary>
    public static string Move(string text, IReadOnlyCollection<string> names, string upstream)
    {
        foreach (var name in names)
        {
            var json = Encoding.UTF8.GetBytes(text);
            using var document = JsonDocument.Parse(json, Options);
            var route = document.RootElement.GetProperty("routes").EnumerateArray().Single(route => NameOf(route) == name);
            var (start, end) = PlaceOf(route.GetProperty("upstream"), json);
            text = Encoding.UTF8.GetString(json.AsSpan(0, start)) + NewRoute.Quote(upstream) + Encoding.UTF8.GetString(json.AsSpan(end));
        }

        return text;
    }

    private static string? NameOf(JsonElement route) => route.GetProperty("name").GetString();

    private static (int Start, int End) PlaceOf(JsonElement element, byte[] json)
    {
        var raw = JsonMarshal.GetRawUtf8Value(element);
        json.AsSpan().Overlaps(raw, out var start);
        return (start, start + raw.Length);
    }

    private static int SkipSpace(byte[] json, int place)
    {
        while (place < json.Length && json[place] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
        {
            place++;
        }

        return place;
    }
}
