// Boxes of one photograph with an exported masu model and OpenVINO.
// g++ -std=c++17 -O2 detect.cpp -I$OV/include $OV/libs/libopenvino.so.* -Wl,-rpath,$OV/libs -o detect
// (OV: the folder of the Python package openvino, or of OpenVINO's own distribution)
// ./detect cells.onnx photograph.ppm
#include <fstream>
#include <iostream>
#include <string>
#include <openvino/openvino.hpp>

int main(int count, char** arguments) try {
  if (count != 3) return std::cerr << "usage: detect MODEL PHOTOGRAPH.ppm\n", 2;
  std::ifstream file(arguments[2], std::ios::binary);
  std::string kind;
  size_t width, height, largest;
  if (!(file >> kind >> width >> height >> largest) || kind != "P6" || largest != 255)
    return std::cerr << arguments[2] << ": wanted a binary PPM of 8 bits\n", 2;
  file.get();
  ov::Tensor images(ov::element::u8, {1, height, width, 3});
  if (!file.read(static_cast<char*>(images.data()), images.get_byte_size()))
    return std::cerr << arguments[2] << ": the file ends before its pixels do\n", 2;

  ov::Core core;
  auto model = core.compile_model(arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
  auto request = model.create_infer_request();
  request.set_input_tensor(images);
  request.infer();
  const float* boxes = request.get_tensor("boxes").data<float>();
  const float* scores = request.get_tensor("scores").data<float>();
  const int64_t* labels = request.get_tensor("labels").data<int64_t>();
  for (int64_t i = 0; i < request.get_tensor("count").data<int64_t>()[0] && scores[i] >= 0.5f; i++, boxes += 4)
    std::cout << labels[i] << ' ' << scores[i] << ' ' << boxes[0] << ' ' << boxes[1] << ' ' << boxes[2] << ' '
              << boxes[3] << '\n';
} catch (const std::exception& error) {
  return std::cerr << error.what() << '\n', 2;
}
