using System.Text;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace GptFunctions.Hosting;

/// <summary>A RabbitMQ trigger, ready to run.</summary>
/// <param name="ConnectionSetting">The name of the setting that holds the broker's URL.</param>
/// <param name="ToArgument">The message as the function wants it.</param>
internal sealed record RabbitMQFunction(
    string Name, string Queue, string ConnectionSetting, Func<ReadOnlyMemory<byte>, object> ToArgument, FunctionInvoker Invoker);

/// <summary>RabbitMQ triggers as the Functions host's extension (2.x) runs them: see <see cref="RabbitMQConsumer"/>.</summary>
internal static class RabbitMQFunctions
{
    // Names of the extension's own binding data: a parameter of the same name makes the Functions host reject the function.
    private static readonly HashSet<string> ReservedNames = new(StringComparer.OrdinalIgnoreCase)
    {
        "body", "exchange", "routingKey", "deliveryTag", "redelivered", "consumerTag", "basicProperties",
    };

    public static void Add(IHostApplicationBuilder builder, IEnumerable<FunctionDescriptor> functions)
    {
        foreach (var consumed in functions.Where(function => function.Trigger is RabbitMQTriggerAttribute).Select(Read).ToList())
        {
            builder.Services.AddSingleton<IHostedService>(services => ActivatorUtilities.CreateInstance<RabbitMQConsumer>(services, consumed));
        }

        RabbitMQFunction Read(FunctionDescriptor function)
        {
            var trigger = (RabbitMQTriggerAttribute)function.Trigger;
            var parameter = function.TriggerParameter;
            if (ReservedNames.Contains(parameter.Name!))
            {
                throw function.Refusal(
                    $"the Functions host rejects '{parameter.Name}' as the name of a message parameter (so it does {string.Join(", ", ReservedNames)})");
            }

            Func<ReadOnlyMemory<byte>, object> toArgument =
                parameter.ParameterType == typeof(byte[]) ? message => message.ToArray()
                : parameter.ParameterType == typeof(string) ? message => Encoding.UTF8.GetString(message.Span)
                : throw function.Refusal("its message parameter must be byte[] or string");
            return new RabbitMQFunction(
                function.Name,
                function.Resolve(trigger.QueueName, builder.Configuration),
                trigger.ConnectionStringSetting ?? throw function.Refusal("its trigger must name the broker's setting in ConnectionStringSetting"),
                toArgument,
                new FunctionInvoker(function));
        }
    }
}
